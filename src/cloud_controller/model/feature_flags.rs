//! SQL of `feature_flags`.

use crate::base::Timestamp;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::{ListQuery, Select};
use crate::db::{ReadTx, WriteTx};

/// A flag with its override, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct FeatureFlag {
    pub name: String,
    pub enabled: bool,
    pub custom_error_message: Option<String>,
    pub updated_at: Option<Timestamp>,
}

pub(crate) fn find(tx: &ReadTx<'_>, name: &str) -> Result<Option<FeatureFlag>> {
    let mut statement = tx.sql().prepare_cached(
        "select name, enabled, custom_error_message, updated_at from feature_flags where name = ?1",
    )?;
    Ok(statement.query_row([name], flag).optional()?)
}

/// The flags with an override, within the query's times.
pub(crate) fn list(tx: &ReadTx<'_>, query: &ListQuery) -> Result<Vec<FeatureFlag>> {
    let mut select = Select::from("feature_flags f");
    query.filter_times(&mut select, "updated_ats", "f.updated_at")?;
    let columns = "f.name, f.enabled, f.custom_error_message, f.updated_at";
    let mut statement = tx.sql().prepare_cached(&select.sql(columns, ""))?;
    let rows = statement.query_map(params_from_iter(select.values()), flag)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn flag(row: &Row<'_>) -> rusqlite::Result<FeatureFlag> {
    Ok(FeatureFlag {
        name: row.get(0)?,
        enabled: row.get(1)?,
        custom_error_message: row.get(2)?,
        updated_at: row.get(3)?,
    })
}

pub(crate) fn save(tx: &WriteTx<'_>, flag: &FeatureFlag) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into feature_flags (name, enabled, custom_error_message, updated_at) values (?1, ?2, ?3, ?4) \
             on conflict (name) do update set enabled = excluded.enabled, \
             custom_error_message = excluded.custom_error_message, updated_at = excluded.updated_at",
        )?
        .execute(params![flag.name, flag.enabled, flag.custom_error_message, flag.updated_at])?;
    Ok(())
}
