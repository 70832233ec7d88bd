//! SQL of `environment_variable_groups`; values are encrypted.

use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::cloud_controller::error::Result;
use crate::db::{ReadTx, Vault, WriteTx};

/// A group's variables; empty when never set.
pub(crate) fn load(
    tx: &ReadTx<'_>,
    vault: &Vault,
    name: &str,
) -> Result<(Map<String, Value>, Option<Timestamp>)> {
    let mut statement = tx.sql().prepare_cached(
        "select var, updated_at from environment_variable_groups where name = ?1",
    )?;
    let row: Option<(Option<Vec<u8>>, Option<Timestamp>)> = statement
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((Some(sealed), updated_at)) = row else {
        return Ok((Map::new(), None));
    };
    Ok((
        serde_json::from_slice(&vault.decrypt(&sealed)?)?,
        updated_at,
    ))
}

/// Replaces a group's variables.
pub(crate) fn save(
    tx: &WriteTx<'_>,
    vault: &Vault,
    name: &str,
    vars: &Map<String, Value>,
    now: Timestamp,
) -> Result<()> {
    let sealed = vault.encrypt(&serde_json::to_vec(vars)?)?;
    tx.sql()
        .prepare_cached(
            "insert into environment_variable_groups (name, var, updated_at) values (?1, ?2, ?3) \
             on conflict (name) do update set var = excluded.var, updated_at = excluded.updated_at",
        )?
        .execute(params![name, sealed, now])?;
    Ok(())
}
