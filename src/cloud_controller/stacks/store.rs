//! SQL of `stacks`.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::v3::{ApiResult, ListQuery, Listed, ResourceType, Select, list};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "s.guid, s.name, s.description, s.state, s.state_reason, s.is_default, s.created_at, s.updated_at";

/// A stored stack.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub guid: String,
    pub name: String,
    pub description: Option<String>,
    pub state: String,
    pub state_reason: Option<String>,
    pub is_default: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

pub(super) fn find(tx: &ReadTx<'_>, guid: &str) -> ApiResult<Option<Stack>> {
    let sql = format!("select {COLUMNS} from stacks s where s.guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], stack)
        .optional()?)
}

/// Whether there is a stack of this name.
pub(crate) fn exists(tx: &ReadTx<'_>, name: &str) -> ApiResult<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from stacks where name = ?1")?;
    Ok(statement.exists([name])?)
}

pub(super) fn list_all(tx: &ReadTx<'_>, query: &ListQuery) -> ApiResult<Listed<Stack>> {
    let mut select = Select::from("stacks s");
    query.filter_common(&mut select, "s", Some(ResourceType::Stack))?;
    query.filter(&mut select, "names", "s.name");
    if let Some(wanted) = query.raw("default") {
        select.and("s.is_default = ?", [i64::from(wanted == "true")]);
    }
    list(tx, &select, ("s", COLUMNS), query, stack)
}

/// Enters a stack unless it is there.
pub(crate) fn ensure(
    tx: &WriteTx<'_>,
    (name, description): (&str, &str),
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<()> {
    tx.sql()
        .prepare_cached(
            "insert into stacks (guid, name, description, is_default, created_at, updated_at) \
             values (?1, ?2, ?3, 1, ?4, ?4) on conflict (name) do nothing",
        )?
        .execute(params![guids.next(), name, description, now])?;
    Ok(())
}

fn stack(row: &Row<'_>) -> rusqlite::Result<Stack> {
    Ok(Stack {
        guid: row.get(0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        state: row.get(3)?,
        state_reason: row.get(4)?,
        is_default: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}
