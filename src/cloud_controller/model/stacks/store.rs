//! SQL of `stacks`.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::guid::StackGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "s.guid, s.name, s.description, s.state, s.state_reason, s.is_default, s.created_at, s.updated_at";

/// A stored stack.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub guid: StackGuid,
    pub name: String,
    pub description: Option<String>,
    pub state: String,
    pub state_reason: Option<String>,
    pub is_default: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A stack, or 404.
pub(crate) fn get(tx: &ReadTx<'_>, guid: &StackGuid) -> Result<Stack> {
    let sql = format!("select {COLUMNS} from stacks s where s.guid = ?1");
    let found = tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], stack)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Stack"))
}

/// A stack by its name.
pub(crate) fn find_named(tx: &ReadTx<'_>, name: &str) -> Result<Option<Stack>> {
    let sql = format!("select {COLUMNS} from stacks s where s.name = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([name], stack)
        .optional()?)
}

/// Whether a stack with this name exists.
pub(crate) fn exists(tx: &ReadTx<'_>, name: &str) -> Result<bool> {
    Ok(find_named(tx, name)?.is_some())
}

/// Whether an app uses the stack.
pub(crate) fn has_apps(tx: &ReadTx<'_>, name: &str) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from apps where lifecycle_stack = ?1 limit 1")?;
    Ok(statement.exists([name])?)
}

pub(crate) fn list_all(tx: &ReadTx<'_>, query: &ListQuery) -> Result<Listed<Stack>> {
    let mut select = Select::from("stacks s");
    query.filter_common(&mut select, "s", Some(ResourceType::Stack))?;
    query.filter(&mut select, "names", "s.name");
    if let Some(wanted) = query.raw("default") {
        select.and("s.is_default = ?", [i64::from(wanted == "true")]);
    }
    list(
        tx,
        &select,
        Columns {
            alias: "s",
            names: COLUMNS,
        },
        query,
        stack,
    )
}

/// Stores a new stack; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, stack: &Stack) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into stacks (guid, name, description, state, state_reason, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )?
        .execute(params![
            stack.guid,
            stack.name,
            stack.description,
            stack.state,
            stack.state_reason,
            stack.created_at
        ]);
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => {
            Err(Error::unprocessable("Name must be unique"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Updates state, reason and time of change.
pub(crate) fn update(tx: &WriteTx<'_>, stack: &Stack) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update stacks set state = ?2, state_reason = ?3, updated_at = ?4 where guid = ?1",
        )?
        .execute(params![
            stack.guid,
            stack.state,
            stack.state_reason,
            stack.updated_at
        ])?;
    Ok(())
}

/// Deletes a stack.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &StackGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from stacks where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Inserts the default stack unless it exists.
pub(crate) fn ensure(
    tx: &WriteTx<'_>,
    name: &str,
    description: &str,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<()> {
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
