-- Desired state of the Cloud Controller. Times are microseconds since 1970; names compare without
-- case, as Cloud Controller's do.

create table stacks (
    guid text primary key not null,
    name text not null collate nocase unique,
    description text,
    state text not null default 'ACTIVE' check (state in ('ACTIVE', 'RESTRICTED', 'DEPRECATED', 'DISABLED')),
    state_reason text,
    is_default integer not null default 0,
    created_at integer not null,
    updated_at integer not null
) strict;

create table isolation_segments (
    guid text primary key not null,
    name text not null collate nocase unique,
    created_at integer not null,
    updated_at integer not null
) strict;

create table organization_quotas (
    guid text primary key not null,
    name text not null collate nocase unique,
    total_memory_in_mb integer,
    per_process_memory_in_mb integer,
    total_instances integer,
    per_app_tasks integer,
    log_rate_limit_in_bytes_per_second integer,
    paid_services_allowed integer not null default 1,
    total_service_instances integer,
    total_service_keys integer,
    total_routes integer,
    total_reserved_ports integer,
    total_domains integer,
    created_at integer not null,
    updated_at integer not null
) strict;

create table organizations (
    guid text primary key not null,
    name text not null collate nocase unique,
    suspended integer not null default 0,
    quota_guid text not null references organization_quotas (guid),
    default_isolation_segment_guid text references isolation_segments (guid),
    created_at integer not null,
    updated_at integer not null
) strict;
create index organizations_by_creation on organizations (created_at, guid);
create index organizations_by_quota on organizations (quota_guid);

create table isolation_segment_organizations (
    isolation_segment_guid text not null references isolation_segments (guid) on delete cascade,
    organization_guid text not null references organizations (guid) on delete cascade,
    primary key (isolation_segment_guid, organization_guid)
) strict;

create table space_quotas (
    guid text primary key not null,
    name text not null collate nocase,
    organization_guid text not null references organizations (guid) on delete cascade,
    total_memory_in_mb integer,
    per_process_memory_in_mb integer,
    total_instances integer,
    per_app_tasks integer,
    log_rate_limit_in_bytes_per_second integer,
    paid_services_allowed integer not null default 1,
    total_service_instances integer,
    total_service_keys integer,
    total_routes integer,
    total_reserved_ports integer,
    created_at integer not null,
    updated_at integer not null,
    unique (organization_guid, name)
) strict;

create table spaces (
    guid text primary key not null,
    name text not null collate nocase,
    organization_guid text not null references organizations (guid),
    suspended integer not null default 0,
    quota_guid text references space_quotas (guid) on delete set null,
    isolation_segment_guid text references isolation_segments (guid),
    ssh_allowed integer not null default 1,
    created_at integer not null,
    updated_at integer not null,
    unique (organization_guid, name)
) strict;
create index spaces_by_creation on spaces (created_at, guid);
create index spaces_by_quota on spaces (quota_guid);
create index spaces_by_isolation_segment on spaces (isolation_segment_guid);

create table roles (
    guid text primary key not null,
    type text not null check (type in (
        'organization_user', 'organization_manager', 'organization_auditor', 'organization_billing_manager',
        'space_developer', 'space_manager', 'space_auditor', 'space_supporter')),
    user_guid text not null,
    -- Set for every role: a space role repeats its space's organization.
    organization_guid text not null references organizations (guid) on delete cascade,
    space_guid text references spaces (guid) on delete cascade,
    created_at integer not null,
    updated_at integer not null
) strict;
create unique index roles_once on roles (user_guid, type, organization_guid, coalesce(space_guid, ''));
create index roles_by_organization on roles (organization_guid);
create index roles_by_space on roles (space_guid);
create index roles_by_creation on roles (created_at, guid);

-- Labels and annotations of every kind of resource; triggers at the end remove them with it.
create table labels (
    resource_type text not null,
    resource_guid text not null,
    prefix text not null default '',
    name text not null,
    value text not null,
    primary key (resource_type, resource_guid, prefix, name)
) strict, without rowid;
create index labels_by_name on labels (resource_type, prefix, name, value);

create table annotations (
    resource_type text not null,
    resource_guid text not null,
    prefix text not null default '',
    name text not null,
    value text not null,
    primary key (resource_type, resource_guid, prefix, name)
) strict, without rowid;

create table domains (
    guid text primary key not null,
    name text not null collate nocase unique,
    internal integer not null default 0,
    router_group_guid text,
    organization_guid text references organizations (guid),
    created_at integer not null,
    updated_at integer not null
) strict;
create index domains_by_creation on domains (created_at, guid);

create table domain_shared_organizations (
    domain_guid text not null references domains (guid) on delete cascade,
    organization_guid text not null references organizations (guid) on delete cascade,
    primary key (domain_guid, organization_guid)
) strict;

create table apps (
    guid text primary key not null,
    name text not null collate nocase,
    space_guid text not null references spaces (guid),
    state text not null default 'STOPPED' check (state in ('STOPPED', 'STARTED')),
    lifecycle_type text not null check (lifecycle_type in ('buildpack', 'docker', 'cnb')),
    -- JSON array of buildpack names and URLs.
    lifecycle_buildpacks text not null default '[]',
    lifecycle_stack text,
    -- No foreign key: the droplet refers to the app.
    current_droplet_guid text,
    -- Encrypted JSON object.
    environment_variables blob,
    ssh_enabled integer not null default 1,
    revisions_enabled integer not null default 1,
    service_binding_k8s_enabled integer not null default 0,
    file_based_vcap_services_enabled integer not null default 0,
    buildpack_cache_digest text,
    buildpack_cache_stack text,
    created_at integer not null,
    updated_at integer not null,
    unique (space_guid, name)
) strict;
-- Lists are read in this order; what they are limited by stands in the same index.
create index apps_by_creation on apps (created_at, guid, space_guid, lifecycle_stack, lifecycle_type, updated_at);
create index apps_by_name on apps (name, guid);
create index apps_by_update on apps (updated_at, guid);
create index apps_by_state on apps (state, guid);
create index apps_by_stack on apps (lifecycle_stack, created_at, guid);

create table processes (
    guid text primary key not null,
    app_guid text not null references apps (guid) on delete cascade,
    type text not null,
    command text,
    user text,
    instances integer not null,
    memory_in_mb integer not null,
    disk_in_mb integer not null,
    log_rate_limit_in_bytes_per_second integer not null default -1,
    health_check_type text not null check (health_check_type in ('port', 'http', 'process')),
    health_check_timeout integer,
    health_check_invocation_timeout integer,
    health_check_interval integer,
    health_check_endpoint text,
    readiness_health_check_type text not null default 'process'
        check (readiness_health_check_type in ('port', 'http', 'process')),
    readiness_health_check_invocation_timeout integer,
    readiness_health_check_interval integer,
    readiness_health_check_endpoint text,
    -- Under which revision it was started; that one may be gone.
    revision_guid text,
    -- Changes whenever running instances have to be replaced; VCAP_APPLICATION.version.
    version text not null,
    created_at integer not null,
    updated_at integer not null
) strict;
create index processes_by_app on processes (app_guid, type);
create index processes_by_creation on processes (created_at, guid);

-- What a started process runs with, written down at its start; a process is started exactly while
-- it is here. The number of instances is that of `processes`.
create table desired_processes (
    process_guid text primary key not null references processes (guid) on delete cascade,
    app_guid text not null references apps (guid) on delete cascade,
    process_type text not null,
    version text not null,
    droplet_guid text not null,
    image_digest text not null,
    -- JSON object: command, limits, checks.
    specification text not null,
    -- Encrypted JSON list of [name, value].
    environment blob not null
) strict;
create index desired_processes_by_app on desired_processes (app_guid);
create index desired_processes_by_droplet on desired_processes (droplet_guid);

create table sidecars (
    guid text primary key not null,
    app_guid text not null references apps (guid) on delete cascade,
    name text not null,
    command text not null,
    memory_in_mb integer,
    origin text not null default 'user' check (origin in ('user', 'buildpack')),
    created_at integer not null,
    updated_at integer not null,
    unique (app_guid, name)
) strict;

create table sidecar_process_types (
    sidecar_guid text not null references sidecars (guid) on delete cascade,
    process_type text not null,
    primary key (sidecar_guid, process_type)
) strict;

create table routes (
    guid text primary key not null,
    space_guid text not null references spaces (guid),
    domain_guid text not null references domains (guid),
    host text not null collate nocase default '',
    path text not null default '',
    -- 0 = no port: a null would escape the unique index.
    port integer not null default 0,
    -- JSON object; never holds a null.
    options text not null default '{}',
    created_at integer not null,
    updated_at integer not null,
    unique (domain_guid, host, path, port)
) strict;
create index routes_by_space on routes (space_guid);
create index routes_by_host on routes (host);
create index routes_by_creation on routes (created_at, guid, space_guid, domain_guid, path, updated_at);
create index routes_by_update on routes (updated_at, guid);

create table route_shared_spaces (
    route_guid text not null references routes (guid) on delete cascade,
    space_guid text not null references spaces (guid) on delete cascade,
    primary key (route_guid, space_guid)
) strict;

create table destinations (
    guid text primary key not null,
    route_guid text not null references routes (guid) on delete cascade,
    app_guid text not null references apps (guid) on delete cascade,
    process_type text not null default 'web',
    -- 0 = the process's default port.
    port integer not null default 0,
    protocol text not null default 'http1',
    weight integer,
    created_at integer not null,
    updated_at integer not null,
    unique (route_guid, app_guid, process_type, port)
) strict;
create index destinations_by_app on destinations (app_guid);

create table packages (
    guid text primary key not null,
    app_guid text not null references apps (guid) on delete cascade,
    type text not null check (type in ('bits', 'docker')),
    state text not null
        check (state in ('AWAITING_UPLOAD', 'PROCESSING_UPLOAD', 'READY', 'FAILED', 'COPYING', 'EXPIRED')),
    error text,
    blob_digest text,
    blob_size integer,
    docker_image text,
    docker_username text,
    -- Encrypted.
    docker_password blob,
    created_at integer not null,
    updated_at integer not null
) strict;
create index packages_by_app on packages (app_guid, created_at);
create index packages_by_creation on packages (created_at, guid, app_guid, state, type, updated_at);

create table droplets (
    guid text primary key not null,
    app_guid text not null references apps (guid) on delete cascade,
    package_guid text,
    build_guid text,
    state text not null
        check (state in ('AWAITING_UPLOAD', 'PROCESSING_UPLOAD', 'STAGING', 'STAGED', 'FAILED', 'COPYING', 'EXPIRED')),
    error text,
    lifecycle_type text not null,
    -- JSON array of {name, detect_output, buildpack_name, version}.
    buildpacks text not null default '[]',
    stack text,
    -- JSON object type -> command.
    process_types text not null default '{}',
    -- JSON array of {name, command, process_types, memory} that buildpacks brought.
    sidecars text not null default '[]',
    execution_metadata text not null default '',
    docker_image text,
    -- The layer that staging made (buildpacks) and the manifest instances start from.
    layer_digest text,
    image_digest text,
    size integer,
    -- While an upload is looked through: the archive and the job that clients watch.
    upload_digest text,
    upload_job text,
    created_at integer not null,
    updated_at integer not null
) strict;
create index droplets_being_uploaded on droplets (created_at) where upload_digest is not null;
create index droplets_by_app on droplets (app_guid, created_at);
create index droplets_by_package on droplets (package_guid);
create index droplets_by_creation on droplets (created_at, guid, app_guid, state, updated_at);

create table builds (
    guid text primary key not null,
    app_guid text not null references apps (guid) on delete cascade,
    package_guid text not null,
    -- While it is `STAGING`: the bits it is made of.
    package_digest text,
    droplet_guid text,
    state text not null check (state in ('STAGING', 'STAGED', 'FAILED')),
    error_id text,
    error text,
    lifecycle_type text not null,
    lifecycle_buildpacks text not null default '[]',
    lifecycle_stack text,
    -- JSON array of {name, source}: the buildpacks as they were when the build was asked for.
    buildpack_choices text not null default '[]',
    staging_memory_in_mb integer not null,
    staging_disk_in_mb integer not null,
    staging_log_rate_limit_bytes_per_second integer not null default -1,
    -- Encrypted JSON object: the environment of this build, taken when it was asked for.
    staging_environment blob,
    created_by_guid text,
    created_by_name text,
    created_by_email text,
    created_at integer not null,
    updated_at integer not null
) strict;
create index builds_by_app on builds (app_guid, created_at);
create index builds_by_state on builds (state);
create index builds_by_creation on builds (created_at, guid, app_guid, state, package_guid, updated_at);
-- One build at a time per app: a second insert loses.
create unique index builds_one_staging on builds (app_guid) where state = 'STAGING';

create table buildpacks (
    guid text primary key not null,
    name text not null collate nocase,
    stack text,
    position integer not null,
    lifecycle text not null default 'buildpack',
    enabled integer not null default 1,
    locked integer not null default 0,
    state text not null check (state in ('AWAITING_UPLOAD', 'READY')),
    filename text,
    -- Null for a built-in one: its files are part of the binary.
    blob_digest text,
    built_in text,
    created_at integer not null,
    updated_at integer not null
) strict;
create unique index buildpacks_once on buildpacks (name, coalesce(stack, ''), lifecycle);

-- Folders of built-in buildpacks that an admin deleted: a restart does not bring them back.
create table deleted_built_in_buildpacks (
    built_in text primary key not null
) strict;

create table deployments (
    guid text primary key not null,
    app_guid text not null references apps (guid) on delete cascade,
    state text not null,
    status_value text not null check (status_value in ('ACTIVE', 'FINALIZED')),
    status_reason text not null,
    strategy text not null,
    -- JSON object as it is shown: max_in_flight, canary steps, the web process's size.
    options text not null default '{"max_in_flight":1}',
    droplet_guid text,
    previous_droplet_guid text,
    revision_guid text,
    revision_version integer,
    canary_current_step integer,
    error text,
    last_healthy_at integer,
    status_updated_at integer not null,
    -- The web process that takes the place of the one before; it may be gone.
    process_guid text,
    -- Instances of the web process before.
    original_instances integer not null default 0,
    created_at integer not null,
    updated_at integer not null
) strict;
create index deployments_by_app on deployments (app_guid, created_at);
create index deployments_active on deployments (app_guid) where status_value = 'ACTIVE';
create index deployments_by_creation on deployments (created_at, guid);

-- What an app ran with at its starts.
create table revisions (
    guid text primary key not null,
    app_guid text not null references apps (guid) on delete cascade,
    version integer not null,
    droplet_guid text not null,
    -- Encrypted JSON object.
    environment_variables blob not null,
    -- JSON object type -> command or null.
    commands text not null,
    -- JSON array of {name, command, process_types, memory_in_mb}.
    sidecars text not null,
    description text not null,
    created_at integer not null,
    updated_at integer not null,
    unique (app_guid, version)
) strict;
create index revisions_by_app on revisions (app_guid, created_at);

create table tasks (
    guid text primary key not null,
    app_guid text not null references apps (guid) on delete cascade,
    sequence_id integer not null,
    name text not null,
    command text not null,
    user text,
    state text not null check (state in ('PENDING', 'RUNNING', 'SUCCEEDED', 'CANCELING', 'FAILED')),
    failure_reason text,
    memory_in_mb integer not null,
    disk_in_mb integer not null,
    log_rate_limit_in_bytes_per_second integer not null,
    droplet_guid text,
    created_at integer not null,
    updated_at integer not null,
    unique (app_guid, sequence_id)
) strict;
create index tasks_by_creation on tasks (created_at, guid);
create index tasks_open on tasks (guid) where state in ('PENDING', 'RUNNING', 'CANCELING');

-- What a task that has not ended runs with, written down when it was made.
create table desired_tasks (
    task_guid text primary key not null references tasks (guid) on delete cascade,
    droplet_guid text not null,
    image_digest text not null,
    -- JSON object: command, user.
    specification text not null,
    -- Encrypted JSON list of [name, value].
    environment blob not null
) strict;

create table jobs (
    guid text primary key not null,
    -- `<resource type>.<deed>`.
    operation text not null,
    -- What it works on; empty when nobody needs to know.
    resource_guid text not null default '',
    state text not null check (state in ('PROCESSING', 'POLLING', 'COMPLETE', 'FAILED')),
    -- What the worker needs to do or resume the work: a JSON object.
    payload text not null default '{}',
    -- JSON arrays as clients see them.
    errors text not null default '[]',
    warnings text not null default '[]',
    attempts integer not null default 0,
    created_at integer not null,
    updated_at integer not null
) strict;
create index jobs_by_state on jobs (state, created_at);
create index jobs_by_creation on jobs (created_at);

create table audit_events (
    -- Insertion order breaks ties within a microsecond.
    id integer primary key autoincrement,
    guid text not null unique,
    type text not null,
    actor_guid text not null,
    actor_type text not null,
    actor_name text not null,
    target_guid text not null,
    target_type text not null,
    target_name text not null,
    data text not null default '{}',
    space_guid text,
    organization_guid text,
    created_at integer not null,
    -- Events never change.
    updated_at integer generated always as (created_at) virtual
) strict;
-- Lists are ordered by id, which every index ends with.
create index audit_events_by_target on audit_events (target_guid);
create index audit_events_by_space on audit_events (space_guid);
create index audit_events_by_organization on audit_events (organization_guid);
create index audit_events_by_creation on audit_events (created_at);
create index audit_events_by_type on audit_events (type);

-- How many events spaces and organizations have: to count them takes longer than a list may.
create table audit_event_counts (
    place_guid text primary key not null,
    events integer not null
) strict, without rowid;
create trigger audit_event_added after insert on audit_events begin
    insert into audit_event_counts (place_guid, events)
    select place_guid, 1 from (
        select new.space_guid as place_guid union select new.organization_guid
    ) where place_guid is not null
    on conflict (place_guid) do update set events = events + 1;
end;
create trigger audit_event_removed after delete on audit_events begin
    update audit_event_counts set events = events - 1
    where place_guid in (old.space_guid, old.organization_guid);
    delete from audit_event_counts
    where place_guid in (old.space_guid, old.organization_guid) and events = 0;
end;

-- What apps used; facts of their time, so nothing refers to other tables.
create table app_usage_events (
    id integer primary key autoincrement,
    guid text not null unique,
    state text not null,
    previous_state text,
    app_guid text,
    app_name text,
    process_guid text,
    process_type text,
    space_guid text,
    space_name text,
    organization_guid text not null,
    buildpack_guid text,
    buildpack_name text,
    task_guid text,
    task_name text,
    memory_in_mb integer not null,
    previous_memory_in_mb integer not null,
    instances integer not null,
    previous_instances integer not null,
    created_at integer not null
) strict;
create index app_usage_events_by_creation on app_usage_events (created_at);
create index app_usage_events_by_task on app_usage_events (task_guid) where task_guid is not null;

create table service_usage_events (
    id integer primary key autoincrement,
    guid text not null unique,
    state text not null,
    space_guid text,
    space_name text,
    organization_guid text not null,
    service_instance_guid text not null,
    service_instance_name text not null,
    service_instance_type text not null,
    service_plan_guid text,
    service_plan_name text,
    service_offering_guid text,
    service_offering_name text,
    service_broker_guid text,
    service_broker_name text,
    created_at integer not null
) strict;
create index service_usage_events_by_creation on service_usage_events (created_at);

create table feature_flags (
    name text primary key not null,
    enabled integer not null,
    custom_error_message text,
    updated_at integer
) strict;

create table environment_variable_groups (
    name text primary key not null check (name in ('running', 'staging')),
    -- Encrypted JSON object.
    var blob,
    updated_at integer
) strict;

create table security_groups (
    guid text primary key not null,
    name text not null collate nocase unique,
    rules text not null default '[]',
    globally_enabled_running integer not null default 0,
    globally_enabled_staging integer not null default 0,
    created_at integer not null,
    updated_at integer not null
) strict;

create table security_group_spaces (
    security_group_guid text not null references security_groups (guid) on delete cascade,
    space_guid text not null references spaces (guid) on delete cascade,
    lifecycle text not null check (lifecycle in ('running', 'staging')),
    primary key (security_group_guid, space_guid, lifecycle)
) strict;
create index security_group_spaces_by_space on security_group_spaces (space_guid);

create table service_instances (
    guid text primary key not null,
    name text not null collate nocase,
    space_guid text not null references spaces (guid),
    type text not null check (type in ('managed', 'user-provided')),
    created_at integer not null,
    updated_at integer not null,
    unique (space_guid, name)
) strict;

create table service_route_bindings (
    guid text primary key not null,
    route_guid text not null references routes (guid) on delete cascade,
    service_instance_guid text not null references service_instances (guid) on delete cascade,
    route_service_url text,
    created_at integer not null,
    updated_at integer not null
) strict;

-- Files of uploaded packages that later pushes may leave out (POST /v3/resource_matches).
create table resource_files (
    sha1 text not null,
    size integer not null,
    blob_digest text not null,
    last_used_at integer not null,
    primary key (sha1, size)
) strict, without rowid;
create index resource_files_by_use on resource_files (last_used_at);

-- Users and clients that Cloud Controller knows of; names are UAA's.
create table user_entries (
    guid text primary key not null,
    created_at integer not null,
    updated_at integer not null
) strict;
create index user_entries_by_creation on user_entries (created_at, guid);
create index user_entries_by_update on user_entries (updated_at, guid);

-- No label outlives its resource: lists by label count on it.
create trigger metadata_of_app after delete on apps begin
    delete from labels where resource_type = 'app' and resource_guid = old.guid;
    delete from annotations where resource_type = 'app' and resource_guid = old.guid;
end;
create trigger metadata_of_build after delete on builds begin
    delete from labels where resource_type = 'build' and resource_guid = old.guid;
    delete from annotations where resource_type = 'build' and resource_guid = old.guid;
end;
create trigger metadata_of_buildpack after delete on buildpacks begin
    delete from labels where resource_type = 'buildpack' and resource_guid = old.guid;
    delete from annotations where resource_type = 'buildpack' and resource_guid = old.guid;
end;
create trigger metadata_of_deployment after delete on deployments begin
    delete from labels where resource_type = 'deployment' and resource_guid = old.guid;
    delete from annotations where resource_type = 'deployment' and resource_guid = old.guid;
end;
create trigger metadata_of_domain after delete on domains begin
    delete from labels where resource_type = 'domain' and resource_guid = old.guid;
    delete from annotations where resource_type = 'domain' and resource_guid = old.guid;
end;
create trigger metadata_of_droplet after delete on droplets begin
    delete from labels where resource_type = 'droplet' and resource_guid = old.guid;
    delete from annotations where resource_type = 'droplet' and resource_guid = old.guid;
end;
create trigger metadata_of_isolation_segment after delete on isolation_segments begin
    delete from labels where resource_type = 'isolation_segment' and resource_guid = old.guid;
    delete from annotations where resource_type = 'isolation_segment' and resource_guid = old.guid;
end;
create trigger metadata_of_organization after delete on organizations begin
    delete from labels where resource_type = 'organization' and resource_guid = old.guid;
    delete from annotations where resource_type = 'organization' and resource_guid = old.guid;
end;
create trigger metadata_of_package after delete on packages begin
    delete from labels where resource_type = 'package' and resource_guid = old.guid;
    delete from annotations where resource_type = 'package' and resource_guid = old.guid;
end;
create trigger metadata_of_process after delete on processes begin
    delete from labels where resource_type = 'process' and resource_guid = old.guid;
    delete from annotations where resource_type = 'process' and resource_guid = old.guid;
end;
create trigger metadata_of_revision after delete on revisions begin
    delete from labels where resource_type = 'revision' and resource_guid = old.guid;
    delete from annotations where resource_type = 'revision' and resource_guid = old.guid;
end;
create trigger metadata_of_route after delete on routes begin
    delete from labels where resource_type = 'route' and resource_guid = old.guid;
    delete from annotations where resource_type = 'route' and resource_guid = old.guid;
end;
create trigger metadata_of_space after delete on spaces begin
    delete from labels where resource_type = 'space' and resource_guid = old.guid;
    delete from annotations where resource_type = 'space' and resource_guid = old.guid;
end;
create trigger metadata_of_stack after delete on stacks begin
    delete from labels where resource_type = 'stack' and resource_guid = old.guid;
    delete from annotations where resource_type = 'stack' and resource_guid = old.guid;
end;
create trigger metadata_of_task after delete on tasks begin
    delete from labels where resource_type = 'task' and resource_guid = old.guid;
    delete from annotations where resource_type = 'task' and resource_guid = old.guid;
end;
create trigger metadata_of_user after delete on user_entries begin
    delete from labels where resource_type = 'user' and resource_guid = old.guid;
    delete from annotations where resource_type = 'user' and resource_guid = old.guid;
end;
