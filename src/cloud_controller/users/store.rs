//! SQL of `user_entries`, joined with UAA's `users` for names.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use super::User;
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, ListQuery, Listed, ResourceType, Select, is_unique_violation, list,
};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "e.guid, u.user_name, u.origin, e.created_at, e.updated_at";
const FROM: &str = "user_entries e left join users u on u.guid = e.guid";

/// Oneself, and everybody with a role in an organization one is in.
fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    if !caller.sees_all() {
        select.and(
            "e.guid = ? or e.guid in (select r.user_guid from roles r where r.organization_guid in \
             (select organization_guid from roles where user_guid = ?))",
            [caller.guid.to_string(), caller.guid.to_string()],
        );
    }
    select
}

pub(super) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &UserGuid,
) -> ApiResult<Option<User>> {
    let mut select = visible(caller);
    select.and("e.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), user)
        .optional()?)
}

pub(super) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> ApiResult<Listed<User>> {
    listed(tx, visible(caller), query)
}

/// A page of those with a role in a scope: `(column, guid)`.
pub(super) fn list_members(
    tx: &ReadTx<'_>,
    (column, guid): (&str, &str),
    query: &ListQuery,
) -> ApiResult<Listed<User>> {
    let mut select = Select::from(FROM);
    select.and(
        &format!("e.guid in (select user_guid from roles where {column} = ?)"),
        [guid.to_owned()],
    );
    listed(tx, select, query)
}

fn listed(tx: &ReadTx<'_>, mut select: Select, query: &ListQuery) -> ApiResult<Listed<User>> {
    query.filter_common(&mut select, "e", Some(ResourceType::User))?;
    query.filter(&mut select, "usernames", "u.user_name");
    query.filter(&mut select, "origins", "u.origin");
    if let Some(parts) = query.values("partial_usernames") {
        let sql = vec!["instr(lower(u.user_name), lower(?)) > 0"; parts.len()].join(" or ");
        select.and(&sql, parts);
    }
    list(tx, &select, ("e", COLUMNS), query, user)
}

pub(super) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> ApiResult<Vec<User>> {
    let mut select = Select::from(FROM);
    select.and_in("e.guid", guids);
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql(COLUMNS, "order by e.created_at"))?;
    let rows = statement.query_map(params_from_iter(select.values()), user)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Enters a user; 422 when entered already.
pub(super) fn enter(tx: &WriteTx<'_>, guid: &UserGuid, now: Timestamp) -> ApiResult<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into user_entries (guid, created_at, updated_at) values (?1, ?2, ?2)",
        )?
        .execute(params![guid, now]);
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(ApiError::unprocessable(format!(
            "User with guid '{guid}' already exists."
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Enters a user unless entered already: whoever gets a role or signs in is known.
pub(crate) fn ensure(tx: &WriteTx<'_>, guid: &UserGuid, now: Timestamp) -> ApiResult<()> {
    tx.sql()
        .prepare_cached(
            "insert into user_entries (guid, created_at, updated_at) values (?1, ?2, ?2) on conflict do nothing",
        )?
        .execute(params![guid, now])?;
    Ok(())
}

/// Removes the entry.
pub(super) fn leave(tx: &WriteTx<'_>, guid: &UserGuid) -> ApiResult<()> {
    tx.sql()
        .prepare_cached("delete from user_entries where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        guid: row.get(0)?,
        name: row.get(1)?,
        origin: row.get(2)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
    })
}
