-- Content-addressed blobs, who needs them, and the registry's names.
create table blobs (
    digest text primary key not null,
    size integer not null,
    created_at integer not null
) strict, without rowid;

create table blob_references (
    digest text not null references blobs (digest),
    -- Kind and name of the owner: 'package' + guid, 'droplet' + guid, 'manifest' + digest, …
    owner_kind text not null,
    owner_name text not null,
    primary key (digest, owner_kind, owner_name)
) strict, without rowid;
create index blob_references_by_owner on blob_references (owner_kind, owner_name);
