-- Services that run as containers of this machine.

-- The one embedded broker: how the marketplace signs in, and which catalog it was told last.
create table data_service_broker (
    id integer primary key check (id = 1),
    -- Encrypted JSON: user name and password.
    credentials blob not null,
    catalog_digest text not null default '',
    -- Null until the marketplace has it. It may be deleted there, and then does not come back.
    broker_guid text
) strict;

create table data_service_instances (
    guid text primary key not null,
    offering_id text not null,
    plan_id text not null,
    organization_guid text not null,
    space_guid text not null,
    name text not null,
    -- Encrypted JSON objects.
    parameters blob not null,
    secrets blob not null,
    -- JSON object: ports of this machine by their names.
    ports text not null,
    -- Of the plan it was made or upgraded with.
    version text not null,
    -- Whether its data exist: before, it is made from the beginning again.
    ready integer not null default 0,
    -- The newest operation.
    operation_id text not null,
    operation_type text not null check (operation_type in ('create', 'update', 'delete')),
    -- Encrypted JSON: what is asked for.
    operation_request blob not null,
    operation_state text not null check (operation_state in ('in progress', 'succeeded', 'failed')),
    operation_description text not null,
    created_at integer not null,
    updated_at integer not null
) strict;

-- Ports of this machine: no two services get the same.
create table data_service_ports (
    port integer primary key,
    instance_guid text not null references data_service_instances (guid) on delete cascade
) strict;
create index data_service_ports_by_instance on data_service_ports (instance_guid);

create table data_service_bindings (
    guid text primary key not null,
    instance_guid text not null references data_service_instances (guid) on delete cascade,
    -- JSON: what was asked for, to recognise the same request.
    request text not null,
    username text not null,
    -- Encrypted.
    password blob not null,
    state text not null check (state in ('creating', 'ready', 'deleting')),
    created_at integer not null
) strict;
create index data_service_bindings_by_instance on data_service_bindings (instance_guid);

-- Dumps; the bytes are blobs.
create table data_service_backups (
    guid text primary key not null,
    -- Stays when the instance is gone.
    instance_guid text not null,
    instance_name text not null,
    space_guid text not null,
    offering_name text not null,
    version text not null,
    extension text not null,
    digest text not null,
    size integer not null,
    tag text not null,
    reason text not null,
    created_at integer not null,
    -- Null: kept while the instance is there.
    expires_at integer
) strict;
create index data_service_backups_by_instance on data_service_backups (instance_guid, created_at);
create index data_service_backups_by_expiry on data_service_backups (expires_at);

-- What happened to an instance, for its developers.
create table data_service_events (
    id integer primary key autoincrement,
    instance_guid text not null,
    at integer not null,
    text text not null
) strict;
create index data_service_events_by_instance on data_service_events (instance_guid, id);
