//! Numbered, append-only migrations. Version = `pragma user_version`.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::DbError;
use crate::base::private_file;

/// Migrations in order; a released one is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_identity.sql"),
    include_str!("migrations/0002_cloud_controller.sql"),
    include_str!("migrations/0003_scheduler.sql"),
    include_str!("migrations/0004_blobs_and_registry.sql"),
    include_str!("migrations/0005_logs.sql"),
    include_str!("migrations/0006_registry.sql"),
    include_str!("migrations/0007_registry_cache.sql"),
    include_str!("migrations/0008_repository_owners.sql"),
    include_str!("migrations/0009_cnb.sql"),
    include_str!("migrations/0010_package_cache.sql"),
    include_str!("migrations/0011_development.sql"),
    include_str!("migrations/0012_marketplace.sql"),
    include_str!("migrations/0013_data_services.sql"),
    include_str!("migrations/0014_services.sql"),
    include_str!("migrations/0015_log_drains.sql"),
    include_str!("migrations/0016_console.sql"),
    include_str!("migrations/0017_log_drain_positions.sql"),
    include_str!("migrations/0018_router_groups.sql"),
    include_str!("migrations/0019_network_policies.sql"),
];

/// The schema version this binary writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const CURRENT_VERSION: i64 = MIGRATIONS.len() as i64;

/// The schema version of a database; zero for a new one.
pub(super) fn version(connection: &Connection) -> Result<i64, DbError> {
    let found: i64 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
    if found > CURRENT_VERSION {
        return Err(DbError::TooNew {
            found,
            known: CURRENT_VERSION,
        });
    }
    Ok(found)
}

/// The schema version of a database file; it is not changed.
pub fn version_of(path: &Path) -> Result<i64, DbError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(super::BUSY)?;
    version(&connection)
}

/// The file that keeps the database of a version before it is migrated.
pub(super) fn kept_copy(path: &Path, version: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version}"));
    PathBuf::from(name)
}

/// Brings the database to [`CURRENT_VERSION`], each step in its own transaction. One that holds data is
/// copied first, for those who go back to the version of cflite that wrote it.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), DbError> {
    let found = version(connection)?;
    if found == CURRENT_VERSION {
        return Ok(());
    }
    if found > 0 {
        keep(path, found)?;
    }
    for (version, sql) in (1..)
        .zip(MIGRATIONS)
        .skip_while(|(version, _)| *version <= found)
    {
        let tx = connection.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

/// Copies that are kept: that of this upgrade, and that of one before, which may be the same one, cut off.
const KEPT: usize = 2;

/// Keeps a copy of a database that is about to be migrated.
fn keep(path: &Path, found: i64) -> Result<(), DbError> {
    let kept = kept_copy(path, found);
    let failed =
        |error: std::io::Error| DbError::Interrupted(format!("{}: {error}", kept.display()));
    let mut unfinished = kept.clone().into_os_string();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    remove(&unfinished).map_err(failed)?;
    super::copy::copy_file(path, &unfinished)?;
    private_file::rename(&unfinished, &kept).map_err(failed)?;
    let copies = (1..=found).rev().map(|version| kept_copy(path, version));
    for older in copies.filter(|copy| copy.exists()).skip(KEPT) {
        remove(&older).map_err(failed)?;
    }
    tracing::info!(
        copy = %kept.display(),
        "the database is of schema version {found} and is migrated to {CURRENT_VERSION}; to go back to the \
         cflite that wrote it, stop this one and put the copy in the place of {}",
        path.display()
    );
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;

    /// A database as a cflite wrote it that knew the first migrations only.
    fn of_version(path: &Path, version: usize) {
        private_file::touch(path).expect("created");
        let connection = Connection::open(path).expect("opened");
        for sql in &MIGRATIONS[..version] {
            connection.execute_batch(sql).expect("migrated");
        }
        let insert = "insert into blobs (digest, size, last_put_at) values ('kept', 1, 1)";
        connection.execute(insert, []).expect("inserted");
        let version = i64::try_from(version).expect("small");
        connection
            .pragma_update(None, "user_version", version)
            .expect("marked");
    }

    fn count(path: &Path) -> i64 {
        let connection = Connection::open(path).expect("opened");
        let row = connection.query_row("select count(*) from blobs", [], |row| row.get(0));
        row.expect("counted")
    }

    #[test]
    fn every_version_with_data_is_copied_before_it_is_migrated() {
        let first = 4;
        for version in first..MIGRATIONS.len() {
            let place = tempfile::tempdir().expect("temporary folder");
            let path = place.path().join("cflite.db");
            of_version(&path, version);
            let version = i64::try_from(version).expect("small");
            // Of earlier upgrades, and of one that was cut off.
            for older in [1, 2] {
                std::fs::write(kept_copy(&path, older), "old").expect("written");
            }
            let unfinished = format!("{}.new", kept_copy(&path, version).display());
            std::fs::write(unfinished, "half").expect("written");
            drop(Db::open(&path).expect("migrated"));
            assert_eq!(super::super::version(&path).expect("read"), CURRENT_VERSION);
            assert_eq!(count(&path), 1);
            let kept = kept_copy(&path, version);
            assert_eq!(super::super::version(&kept).expect("read"), version);
            assert_eq!(count(&kept), 1);
            let left = std::fs::read_dir(place.path()).expect("listed");
            let mut left: Vec<String> = left
                .map(|entry| {
                    entry
                        .expect("entry")
                        .file_name()
                        .to_string_lossy()
                        .into_owned()
                })
                .collect();
            left.sort();
            let mut expected = [
                "cflite.db".to_owned(),
                "cflite.db.v2".to_owned(),
                format!("cflite.db.v{version}"),
            ];
            expected.sort();
            assert_eq!(left, expected);
        }
    }

    #[test]
    fn a_newer_database_is_refused_and_left_as_it_is() {
        let place = tempfile::tempdir().expect("temporary folder");
        let path = place.path().join("cflite.db");
        of_version(&path, MIGRATIONS.len());
        let connection = Connection::open(&path).expect("opened");
        let newer = CURRENT_VERSION + 1;
        let marked = connection.pragma_update(None, "user_version", newer);
        marked.expect("marked");
        drop(connection);
        let before = std::fs::read(&path).expect("read");
        let error = Db::open(&path).map(|_| ()).expect_err("refused");
        assert!(matches!(error, DbError::TooNew { .. }), "{error}");
        assert!(error.to_string().contains("use a newer cflite"), "{error}");
        assert!(
            std::fs::read(&path).expect("read") == before,
            "it was changed"
        );
        let left = std::fs::read_dir(place.path()).expect("listed").count();
        assert_eq!(left, 1, "no file is left beside it");
    }
}
