//! SQL of orphans.

use crate::blobs;
use crate::cloud_controller::error::Result;
use crate::db::{ReadTx, WriteTx};
use crate::registry;

/// Owners of blobs without the row they are named after. References of resources and manifests are
/// managed by their own modules.
const OWNERS: &str = "
    select distinct r.owner_kind, r.owner_name, r.digest from blob_references r where not case r.owner_kind
        when 'package' then exists (select 1 from packages p where p.guid = r.owner_name)
        when 'droplet' then exists (select 1 from droplets d where d.guid = r.owner_name)
        when 'droplet_upload' then exists
            (select 1 from droplets d where d.guid = r.owner_name and d.upload_digest is not null)
        when 'build' then exists (select 1 from builds b where b.guid = r.owner_name and b.state = 'STAGING')
        when 'build_cache' then exists
            (select 1 from apps a where a.guid = r.owner_name and a.buildpack_cache_digest = r.digest)
        when 'buildpack' then exists (select 1 from buildpacks b where b.guid = r.owner_name)
        else 1 end";

/// Repositories named after a droplet that does not exist and is not being staged, and those with the
/// images of apps that do not exist.
const REPOSITORIES: &str = "
    select distinct m.repository from registry_repository_manifests m
    where m.repository glob '????????-????-????-????-????????????' and instr(m.repository, '/') = 0
      and not exists (select 1 from droplets d where d.guid = m.repository)
      and not exists (select 1 from builds b where b.state = 'STAGING' and b.droplet_guid = m.repository)
    union
    select distinct m.repository from registry_repository_manifests m
    where m.repository glob 'cflite/apps/*'
      and not exists (select 1 from apps a where a.guid = substr(m.repository, length('cflite/apps/') + 1))";

/// Kind, name and digest of each reference without an owner.
pub(crate) fn owners(tx: &ReadTx<'_>) -> Result<Vec<[String; 3]>> {
    let mut statement = tx.sql().prepare_cached(OWNERS)?;
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Repositories without a droplet or an app.
pub(crate) fn repositories(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(REPOSITORIES)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes both, and repositories whose owner is gone.
pub(crate) fn delete(tx: &WriteTx<'_>) -> Result<()> {
    for [kind, name, digest] in owners(tx)? {
        blobs::release_one(tx, &kind, &name, &digest)?;
    }
    for repository in repositories(tx)? {
        registry::remove_repository(tx, &repository)?;
    }
    for repository in super::repositories::abandoned(tx)? {
        registry::remove_repository(tx, &repository)?;
        super::repositories::forget(tx, &repository)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;

    #[tokio::test]
    async fn only_the_names_of_droplets_are_repositories_of_droplets() {
        const SQL: &str = "
            insert into registry_repository_manifests (repository, digest) values
                ('0b5e3c52-2f4d-4d3e-8d0f-3f1c6c1d7a10', 'sha256:x'),
                ('acme/web-prod-east-blue-application1', 'sha256:x'),
                ('cache/docker.io/library/nginx', 'sha256:x')";
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let inserted = db.write_without_wake(|tx| {
            tx.sql().execute_batch("pragma defer_foreign_keys = on")?;
            tx.sql().execute_batch(SQL)?;
            let found = repositories(tx)?;
            assert_eq!(found, ["0b5e3c52-2f4d-4d3e-8d0f-3f1c6c1d7a10"]);
            Err::<(), _>(crate::cloud_controller::error::Error::forbidden())
        });
        inserted.await.expect_err("the rows have no manifests");
    }
}
