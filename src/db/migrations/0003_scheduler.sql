-- What the scheduler knows of instances beyond what Docker's labels say: states, crash counts and
-- back-off survive restarts here. Times are microseconds since 1970.
--
-- No foreign keys: an instance outlives its process until its container is gone.
create table instances (
    guid text primary key not null,
    process_guid text not null,
    app_guid text not null,
    process_type text not null,
    instance_index integer not null,
    version text not null,
    state text not null check (state in ('STARTING', 'RUNNING', 'CRASHED', 'STOPPING')),
    -- When it came into this state.
    since integer not null,
    -- A hint for readers; the container's labels are the link that counts.
    container_id text,
    -- Passed its readiness check, or has none.
    ready integer not null default 0 check (ready in (0, 1)),
    -- Had traffic when it was retired, so it is drained before SIGTERM.
    serving integer not null default 0 check (serving in (0, 1)),
    crash_count integer not null default 0,
    last_crash_at integer,
    -- CRASHED: why it crashed; STARTING: why it can not be placed.
    details text,
    created_at integer not null
) strict;
create unique index instances_by_slot on instances (process_guid, version, instance_index)
    where state <> 'STOPPING';
create index instances_by_process on instances (process_guid, instance_index);
