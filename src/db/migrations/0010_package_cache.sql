-- Files and indexes of public package registries that were fetched once; their bytes are blobs
-- ('package copy' references, named registry/path#variant).
create table package_copies (
    -- pypi, npm, go, maven, rubygems, composer or debian.
    registry text not null,
    -- Below the registry's folder, as the cache asks for it.
    path text not null,
    -- Of a document that has several forms, the one that was asked for.
    variant text not null,
    digest text not null references blobs (digest),
    content_type text not null,
    etag text,
    last_modified text,
    -- When its registry last said that it is this.
    fetched_at integer not null,
    used_at integer not null,
    primary key (registry, path, variant)
) strict, without rowid;
create index package_copies_by_use on package_copies (used_at);
create index package_copies_by_digest on package_copies (digest);
