-- Whose a repository of the image registry is, from its first push on. Its name only says who may
-- make that: another organization, space or user may get the same name later.
create table repository_owners (
    repository text primary key not null,
    -- They may be gone: then a sweep removes the repository.
    space_guid text,
    user_guid text,
    check ((space_guid is null) <> (user_guid is null))
) strict, without rowid;
