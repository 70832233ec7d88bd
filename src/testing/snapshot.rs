//! A hash of each database table, for tests that nothing changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::db::{Db, DbError, ReadTx};

/// Tables that workers and log-ins write in the background.
const BACKGROUND_TABLES: &[&str] = &[
    "instances",
    "log_cursors",
    "log_segments",
    "log_sources",
    "refresh_tokens",
    "registry_blobs",
    "registry_children",
    "registry_digests",
    "registry_manifests",
    "registry_missing",
    "registry_repository_manifests",
    "registry_tags",
    "registry_uploads",
    "settings",
];

const TABLES: &str = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name";

/// A hash of each table's rows.
pub(super) async fn take(db: &Db) -> Result<BTreeMap<String, u64>, DbError> {
    db.read(|tx| {
        let mut statement = tx.sql().prepare_cached(TABLES)?;
        let names = statement.query_map([], |row| row.get(0))?;
        let names = names.collect::<Result<Vec<String>, _>>()?;
        let names = names
            .into_iter()
            .filter(|name| !BACKGROUND_TABLES.contains(&name.as_str()));
        names
            .map(|name| Ok((name.clone(), hash(tx, &name)?)))
            .collect()
    })
    .await
}

fn hash(tx: &ReadTx<'_>, table: &str) -> Result<u64, DbError> {
    let mut statement = tx.sql().prepare(&format!("select * from {table}"))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut hasher = DefaultHasher::new();
    let mut text = String::new();
    while let Some(row) = rows.next()? {
        text.clear();
        for column in 0..columns {
            // Writing to memory cannot fail.
            let _ = write!(text, "{:?}|", row.get_ref(column)?);
        }
        text.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
