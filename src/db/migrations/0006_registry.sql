-- What a push needs: blobs a repository shows, manifests that refer to others, uploads in progress.

-- A blob can be read in a repository only through such a row, and only while the blob exists. There
-- is no foreign key: the sweep of the blobs knows nothing of repositories.
create table registry_blobs (
    repository text not null,
    digest text not null,
    -- A link that no manifest of the repository needs lives for some time from here.
    linked_at integer not null,
    primary key (repository, digest)
) strict, without rowid;
create index registry_blobs_by_digest on registry_blobs (digest);
insert into registry_blobs (repository, digest, linked_at)
    select i.repository, r.digest, m.created_at
    from registry_repository_manifests i join registry_manifests m on m.digest = i.digest
    join blob_references r on r.owner_kind = 'manifest' and r.owner_name = m.digest
    where true
    on conflict do nothing;

-- The manifest this one refers to (a signature's image), as it names it; it need not exist.
alter table registry_manifests add column subject text;
alter table registry_manifests add column artifact_type text;
-- A JSON object of texts.
alter table registry_manifests add column annotations text;
create index registry_manifests_by_subject on registry_manifests (subject)
    where subject is not null;

-- The manifests that an index names, as it names them; they need not exist.
create table registry_children (
    parent text not null references registry_manifests (digest) on delete cascade,
    child text not null,
    primary key (parent, child)
) strict, without rowid;
create index registry_children_by_child on registry_children (child);

create table registry_uploads (
    id text primary key not null,
    repository text not null,
    created_at integer not null,
    updated_at integer not null
) strict, without rowid;

-- Other names of blobs: the SHA-512 of the bytes that are stored under a SHA-256.
create table registry_digests (
    alias text primary key not null,
    digest text not null
) strict, without rowid;
create index registry_digests_by_digest on registry_digests (digest);
