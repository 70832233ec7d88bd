//! Deletes orphans: blobs whose owner's row is gone, and images of droplets that were never
//! created.
//!
//! Deleting a row releases its blobs in the same transaction, so there should be none. An image is
//! in the registry before its droplet is a row; when the build ends in between, the image is
//! orphaned. What was pushed goes with its space or user.

use crate::cloud_controller::error::Error;
use crate::cloud_controller::model;
use crate::db::Db;

/// Deletes all of them; safe to repeat at any time.
pub(crate) async fn delete(db: &Db) -> Result<(), Error> {
    let found = db
        .read(|tx| {
            Ok::<_, Error>(
                model::leftovers::owners(tx)?.len()
                    + model::leftovers::repositories(tx)?.len()
                    + model::repositories::abandoned(tx)?.len(),
            )
        })
        .await?;
    if found == 0 {
        return Ok(());
    }
    tracing::info!(found, "deleting orphaned blobs and images");
    db.write_without_wake(model::leftovers::delete).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::DbError;

    const ROWS: &str = "
        pragma defer_foreign_keys = 1;
        insert into organization_quotas (guid, name, created_at, updated_at) values ('q', 'q', 0, 0);
        insert into organizations (guid, name, quota_guid, created_at, updated_at) values ('o', 'o', 'q', 0, 0);
        insert into spaces (guid, name, organization_guid, created_at, updated_at) values ('s', 's', 'o', 0, 0);
        insert into apps (guid, name, space_guid, lifecycle_type, buildpack_cache_digest, created_at, updated_at)
            values ('here', 'a', 's', 'buildpack', 'd1', 0, 0);
        insert into packages (guid, app_guid, type, state, created_at, updated_at)
            values ('here', 'here', 'bits', 'READY', 0, 0);
        insert into droplets (guid, app_guid, state, lifecycle_type, upload_digest, created_at, updated_at)
            values ('here', 'here', 'PROCESSING_UPLOAD', 'buildpack', 'd1', 0, 0),
            ('00000000-0000-4000-8000-000000000001', 'here', 'STAGED', 'buildpack', null, 0, 0);
        insert into builds (guid, app_guid, package_guid, droplet_guid, state, lifecycle_type,
            staging_memory_in_mb, staging_disk_in_mb, staging_log_rate_limit_bytes_per_second, created_at, updated_at)
            values ('here', 'here', 'here', '00000000-0000-4000-8000-000000000002', 'STAGING', 'buildpack', 1, 1, 1, 0, 0),
            ('over', 'here', 'here', '00000000-0000-4000-8000-000000000003', 'FAILED', 'buildpack', 1, 1, 1, 0, 0);
        insert into buildpacks (guid, name, position, state, lifecycle, created_at, updated_at)
            values ('here', 'b', 1, 'READY', 'buildpack', 0, 0);
        insert into blobs (digest, size, last_put_at) values ('d1', 1, 0), ('d2', 1, 0);
        insert into registry_manifests (digest, media_type, created_at) values ('d1', 'm', 0);
        insert into registry_repository_manifests (repository, digest) values ('stacks/run', 'd1'),
            ('00000000-0000-4000-8000-000000000001', 'd1'), ('00000000-0000-4000-8000-000000000002', 'd1'),
            ('00000000-0000-4000-8000-000000000003', 'd1'), ('00000000-0000-4000-8000-000000000004', 'd1');
        insert into registry_repository_manifests (repository, digest) values ('o/s/here', 'd1'),
            ('o/s/gone', 'd1'), ('gone/x', 'd1');
        insert into repository_owners (repository, space_guid, user_guid) values ('o/s/here', 's', null),
            ('o/s/gone', 'gone', null), ('gone/x', null, 'gone');
        insert into blob_references (digest, owner_kind, owner_name)
            select 'd1', kind, owner from
                (select 'package' as kind union select 'droplet' union select 'droplet_upload' union select 'build'
                 union select 'build_cache' union select 'buildpack' union select 'resource' union select 'manifest'),
                (select 'here' as owner union select 'gone' union select 'over');
        insert into blob_references (digest, owner_kind, owner_name) values ('d2', 'build_cache', 'here');";

    #[tokio::test]
    async fn orphans_are_deleted_and_all_else_stays() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let write = db.write(|tx| Ok::<_, DbError>(tx.sql().execute_batch(ROWS)?));
        write.await.expect("rows");
        for _ in 0..2 {
            delete(&db).await.expect("deleted");
            let left = db.read(|tx| {
                let sql = "select owner_kind || ' ' || owner_name || ' ' || digest from blob_references \
                           where owner_kind not in ('resource', 'manifest') \
                           union all select repository from registry_repository_manifests order by 1";
                let mut statement = tx.sql().prepare(sql)?;
                let rows = statement.query_map([], |row| row.get(0))?;
                Ok::<_, DbError>(rows.collect::<Result<Vec<String>, _>>()?)
            });
            let expected = [
                "00000000-0000-4000-8000-000000000001",
                "00000000-0000-4000-8000-000000000002",
                "build here d1",
                "build_cache here d1",
                "buildpack here d1",
                "droplet here d1",
                "droplet_upload here d1",
                "o/s/here",
                "package here d1",
                "stacks/run",
            ];
            assert_eq!(left.await.expect("left"), expected);
        }
    }
}
