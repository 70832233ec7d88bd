-- Service brokers, what they offer, and what was made of it. No earlier version could make a service instance, so the
-- tables that were there for lists are made anew.

drop table service_route_bindings;
drop table service_instances;

create table service_brokers (
    guid text primary key not null,
    name text not null unique,
    url text not null,
    -- Null: for all.
    space_guid text references spaces (guid),
    -- Encrypted JSON: user name and password.
    credentials blob not null,
    state text not null check (state in ('SYNCHRONIZING', 'AVAILABLE', 'SYNCHRONIZATION_FAILED', 'DELETE_IN_PROGRESS')),
    -- The OSB version it last agreed to, where it refused the newest one.
    api_version text,
    created_at integer not null,
    updated_at integer not null
) strict;
create index service_brokers_by_creation on service_brokers (created_at, guid);
create index service_brokers_by_space on service_brokers (space_guid);

create table service_offerings (
    guid text primary key not null,
    broker_guid text not null references service_brokers (guid) on delete cascade,
    catalog_id text not null,
    name text not null,
    description text not null,
    available integer not null,
    bindable integer not null,
    plan_updateable integer not null,
    instances_retrievable integer not null,
    bindings_retrievable integer not null,
    allow_context_updates integer not null,
    -- JSON.
    tags text not null,
    requires text not null,
    metadata text,
    created_at integer not null,
    updated_at integer not null,
    unique (broker_guid, catalog_id)
) strict;
create index service_offerings_by_creation on service_offerings (created_at, guid);
create index service_offerings_by_name on service_offerings (name);

create table service_plans (
    guid text primary key not null,
    offering_guid text not null references service_offerings (guid) on delete cascade,
    catalog_id text not null,
    name text not null,
    description text not null,
    public integer not null,
    available integer not null,
    free integer not null,
    -- Null: as the offering says.
    bindable integer,
    plan_updateable integer,
    -- Seconds.
    maximum_polling_duration integer,
    -- JSON.
    maintenance_info text,
    metadata text,
    create_instance_schema text,
    update_instance_schema text,
    create_binding_schema text,
    created_at integer not null,
    updated_at integer not null,
    unique (offering_guid, catalog_id)
) strict;
create index service_plans_by_creation on service_plans (created_at, guid);

create table service_plan_visibilities (
    plan_guid text not null references service_plans (guid) on delete cascade,
    organization_guid text not null references organizations (guid) on delete cascade,
    primary key (plan_guid, organization_guid)
) strict, without rowid;
create index service_plan_visibilities_by_organization on service_plan_visibilities (organization_guid);

create table service_instances (
    guid text primary key not null,
    name text not null collate nocase,
    space_guid text not null references spaces (guid),
    type text not null check (type in ('managed', 'user-provided')),
    -- Of managed ones.
    plan_guid text references service_plans (guid),
    -- JSON.
    tags text not null default '[]',
    -- Of user-provided ones: encrypted JSON object.
    credentials blob,
    syslog_drain_url text,
    route_service_url text,
    dashboard_url text,
    -- JSON.
    maintenance_info text,
    broker_metadata text,
    operation_type text check (operation_type in ('create', 'update', 'delete')),
    operation_state text check (operation_state in ('initial', 'in progress', 'succeeded', 'failed')),
    operation_description text,
    operation_created_at integer,
    operation_updated_at integer,
    created_at integer not null,
    updated_at integer not null,
    unique (space_guid, name)
) strict;
create index service_instances_by_creation on service_instances (created_at, guid);
create index service_instances_by_plan on service_instances (plan_guid);

create table service_instance_shares (
    service_instance_guid text not null references service_instances (guid) on delete cascade,
    space_guid text not null references spaces (guid) on delete cascade,
    created_at integer not null,
    primary key (service_instance_guid, space_guid)
) strict, without rowid;
create index service_instance_shares_by_space on service_instance_shares (space_guid);

create table service_credential_bindings (
    guid text primary key not null,
    type text not null check (type in ('app', 'key')),
    name text,
    service_instance_guid text not null references service_instances (guid),
    -- Of bindings to apps.
    app_guid text references apps (guid),
    -- Encrypted JSON object.
    credentials blob,
    syslog_drain_url text,
    -- Encrypted JSON.
    volume_mounts blob,
    operation_type text check (operation_type in ('create', 'update', 'delete')),
    operation_state text check (operation_state in ('initial', 'in progress', 'succeeded', 'failed')),
    operation_description text,
    operation_created_at integer,
    operation_updated_at integer,
    created_at integer not null,
    updated_at integer not null,
    check ((type = 'app') = (app_guid is not null))
) strict;
create index service_credential_bindings_by_creation on service_credential_bindings (created_at, guid);
create index service_credential_bindings_by_instance on service_credential_bindings (service_instance_guid);
create index service_credential_bindings_by_app on service_credential_bindings (app_guid);
create unique index service_keys_by_name on service_credential_bindings (service_instance_guid, name) where type = 'key';

create table service_route_bindings (
    guid text primary key not null,
    route_guid text not null unique references routes (guid),
    service_instance_guid text not null references service_instances (guid),
    route_service_url text,
    operation_type text check (operation_type in ('create', 'update', 'delete')),
    operation_state text check (operation_state in ('initial', 'in progress', 'succeeded', 'failed')),
    operation_description text,
    operation_created_at integer,
    operation_updated_at integer,
    created_at integer not null,
    updated_at integer not null
) strict;
create index service_route_bindings_by_creation on service_route_bindings (created_at, guid);
create index service_route_bindings_by_instance on service_route_bindings (service_instance_guid);

-- What is to be asked of brokers: each row is one piece of work from its first request until its outcome is on record.
create table service_operations (
    id integer primary key autoincrement,
    work text not null,
    -- The broker, instance, binding, app, route, space or organization it is about.
    resource_guid text not null,
    -- Whom it asks; empty = nobody.
    broker_guid text not null,
    -- The work that waits for this one; it goes on when this is over.
    parent_id integer references service_operations (id) on delete set null,
    job_guid text,
    -- Who asked.
    actor_guid text not null,
    actor_type text not null,
    actor_name text not null,
    -- JSON: what was asked, without secrets.
    input text not null,
    -- Encrypted JSON: parameters and credentials.
    secret blob,
    -- waiting: for other work; due: nothing was sent yet; sent: the broker may know; polling: it works; fetching: what it
    -- made is asked for.
    state text not null check (state in ('waiting', 'due', 'sent', 'polling', 'fetching')),
    -- The broker's own name of what it does.
    broker_operation text,
    attempts integer not null default 0,
    -- When the next request is due.
    next_at integer not null,
    -- When polling ends.
    deadline integer,
    -- JSON array: why parts of the work failed.
    faults text not null default '[]',
    created_at integer not null
) strict;
create index service_operations_by_time on service_operations (next_at);
create index service_operations_by_resource on service_operations (resource_guid);
create index service_operations_by_parent on service_operations (parent_id);

create trigger metadata_of_service_broker after delete on service_brokers begin
    delete from labels where resource_type = 'service_broker' and resource_guid = old.guid;
    delete from annotations where resource_type = 'service_broker' and resource_guid = old.guid;
end;
create trigger metadata_of_service_offering after delete on service_offerings begin
    delete from labels where resource_type = 'service_offering' and resource_guid = old.guid;
    delete from annotations where resource_type = 'service_offering' and resource_guid = old.guid;
end;
create trigger metadata_of_service_plan after delete on service_plans begin
    delete from labels where resource_type = 'service_plan' and resource_guid = old.guid;
    delete from annotations where resource_type = 'service_plan' and resource_guid = old.guid;
end;
create trigger metadata_of_service_instance after delete on service_instances begin
    delete from labels where resource_type = 'service_instance' and resource_guid = old.guid;
    delete from annotations where resource_type = 'service_instance' and resource_guid = old.guid;
end;
create trigger metadata_of_service_credential_binding after delete on service_credential_bindings begin
    delete from labels where resource_type = 'service_credential_binding' and resource_guid = old.guid;
    delete from annotations where resource_type = 'service_credential_binding' and resource_guid = old.guid;
end;
create trigger metadata_of_service_route_binding after delete on service_route_bindings begin
    delete from labels where resource_type = 'service_route_binding' and resource_guid = old.guid;
    delete from annotations where resource_type = 'service_route_binding' and resource_guid = old.guid;
end;
