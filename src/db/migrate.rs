//! Numbered, append-only migrations. Version = `pragma user_version`.

use rusqlite::Connection;

use super::DbError;

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
];

/// The schema version this binary writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const CURRENT_VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the database to [`CURRENT_VERSION`], each step in its own transaction.
pub(super) fn run(connection: &mut Connection) -> Result<(), DbError> {
    let found: i64 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
    if found > CURRENT_VERSION {
        return Err(DbError::TooNew {
            found,
            known: CURRENT_VERSION,
        });
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
