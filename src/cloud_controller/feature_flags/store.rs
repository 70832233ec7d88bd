//! SQL of `feature_flags`.

use rusqlite::{OptionalExtension, params};

use super::FeatureFlag;
use crate::cloud_controller::v3::ApiResult;
use crate::db::{ReadTx, WriteTx};

pub(super) fn find(tx: &ReadTx<'_>, name: &str) -> ApiResult<Option<FeatureFlag>> {
    let mut statement = tx.sql().prepare_cached(
        "select name, enabled, custom_error_message, updated_at from feature_flags where name = ?1",
    )?;
    let row = statement.query_row([name], |row| {
        Ok(FeatureFlag {
            name: row.get(0)?,
            enabled: row.get(1)?,
            custom_error_message: row.get(2)?,
            updated_at: row.get(3)?,
        })
    });
    Ok(row.optional()?)
}

pub(super) fn save(tx: &WriteTx<'_>, flag: &FeatureFlag) -> ApiResult<()> {
    tx.sql()
        .prepare_cached(
            "insert into feature_flags (name, enabled, custom_error_message, updated_at) values (?1, ?2, ?3, ?4) \
             on conflict (name) do update set enabled = excluded.enabled, \
             custom_error_message = excluded.custom_error_message, updated_at = excluded.updated_at",
        )?
        .execute(params![flag.name, flag.enabled, flag.custom_error_message, flag.updated_at])?;
    Ok(())
}
