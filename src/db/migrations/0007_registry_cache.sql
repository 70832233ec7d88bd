-- Images of other registries that are read through this one.

-- A blob that a copied manifest names and that is not here yet: it comes when it is first read.
create table registry_missing (
    blob text not null,
    manifest text not null references registry_manifests (digest) on delete cascade,
    size integer not null,
    primary key (blob, manifest)
) strict, without rowid;
create index registry_missing_by_manifest on registry_missing (manifest);

-- When somebody last needed this copy. Null: it is no copy, or nobody needed it since the upgrade.
alter table registry_repository_manifests add column used_at integer;
