-- How far the drains of logs got, so that they go on there after a restart. Times are nanoseconds
-- since 1970.
create table log_drains (
    id integer primary key not null,
    -- A digest of what the drain is: its URL may have a password.
    digest text not null unique,
    -- What is older than the drain is not for it.
    since integer not null
) strict;

-- The last envelope of a source that the receiver has.
create table log_drain_positions (
    drain integer not null references log_drains (id) on delete cascade,
    source integer not null references log_sources (id) on delete cascade,
    position integer not null,
    primary key (drain, source)
) strict, without rowid;
create index log_drain_positions_by_source on log_drain_positions (source);
