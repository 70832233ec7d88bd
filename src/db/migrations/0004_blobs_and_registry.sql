-- Content-addressed blobs, who needs them, and the registry's names.
create table blobs (
    digest text primary key not null,
    size integer not null,
    -- Starts the time a blob lives without a reference; put again, it starts anew.
    last_put_at integer not null
) strict, without rowid;

create table blob_references (
    digest text not null references blobs (digest),
    -- Kind and name of the owner: 'package' + guid, 'droplet' + guid, 'manifest' + digest, …
    owner_kind text not null,
    owner_name text not null,
    primary key (digest, owner_kind, owner_name)
) strict, without rowid;
create index blob_references_by_owner on blob_references (owner_kind, owner_name);

-- Image manifests; their bytes are blobs, and so is all they name ('manifest' references).
create table registry_manifests (
    digest text primary key not null references blobs (digest),
    media_type text not null,
    created_at integer not null
) strict, without rowid;

-- What a repository shows: a manifest, and through it its blobs, can be read only by these names.
create table registry_repository_manifests (
    repository text not null,
    digest text not null references registry_manifests (digest),
    -- When its last tag moved on; a sweep removes it some time later. Null: tagged, or never was.
    untagged_at integer,
    primary key (repository, digest)
) strict, without rowid;
create index registry_repository_manifests_by_digest on registry_repository_manifests (digest);

create table registry_tags (
    repository text not null,
    name text not null,
    digest text not null,
    updated_at integer not null,
    primary key (repository, name),
    foreign key (repository, digest) references registry_repository_manifests (repository, digest)
) strict, without rowid;
create index registry_tags_by_digest on registry_tags (repository, digest);
