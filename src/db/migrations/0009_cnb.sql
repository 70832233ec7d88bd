-- What staging with Cloud Native Buildpacks needs.

-- Encrypted JSON: credentials of an app's buildpacks by host. They move to the next build.
alter table apps add column lifecycle_credentials blob;
-- When they were given: without a build they are forgotten.
alter table apps add column lifecycle_credentials_at integer;
create index apps_with_credentials on apps (lifecycle_credentials_at)
    where lifecycle_credentials_at is not null;
