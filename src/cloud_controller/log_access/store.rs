//! SQL of log access.

use rusqlite::params_from_iter;

use crate::cloud_controller::v3::{ApiResult, Caller, Select};
use crate::db::ReadTx;

/// Guids of the apps the caller sees.
pub(super) fn visible_apps(tx: &ReadTx<'_>, caller: &Caller) -> ApiResult<Vec<String>> {
    let mut select = Select::from("apps a");
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    let mut statement = tx.sql().prepare_cached(&select.sql("a.guid", ""))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
