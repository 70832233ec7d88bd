//! Counts of resources, for the result of seeding.

use serde_json::{Value, json};

use crate::db::{DbError, ReadTx};

/// The number of resources of each kind.
pub(crate) fn counts(tx: &ReadTx<'_>) -> Result<Value, DbError> {
    let mut counts = serde_json::Map::new();
    for (name, sql) in [
        ("organizations", "select count(*) from organizations"),
        ("spaces", "select count(*) from spaces"),
        ("apps", "select count(*) from apps"),
        (
            "started apps",
            "select count(*) from apps where state = 'STARTED'",
        ),
        ("routes", "select count(*) from routes"),
    ] {
        let count: i64 = tx
            .sql()
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?;
        counts.insert(name.to_owned(), json!(count));
    }
    Ok(Value::Object(counts))
}
