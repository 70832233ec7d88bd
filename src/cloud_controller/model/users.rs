//! SQL of `user_entries`, joined with UAA's `users` for names.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{OrganizationGuid, SpaceGuid, UserGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list as list_page};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "e.guid, u.user_name, u.origin, e.created_at, e.updated_at";
const FROM: &str = "user_entries e left join users u on u.guid = e.guid";

/// A user or client with an entry here.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub guid: UserGuid,
    pub name: Option<String>,
    pub origin: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Which users are listed.
#[derive(Debug, Clone)]
pub(crate) enum Among {
    /// Those the caller sees.
    Visible,
    /// Those with a role in the organization itself.
    Organization(OrganizationGuid),
    /// Those with a role in the space.
    Space(SpaceGuid),
}

/// The caller, and everybody with a role in an organization in which the caller has a role.
fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    if !caller.sees_all() {
        select.and(
            "e.guid = ? or e.guid in (select user_guid from roles where space_guid is null \
             and organization_guid in (select organization_guid from roles \
             where user_guid = ? and space_guid is null))",
            [caller.guid.to_string(), caller.guid.to_string()],
        );
    }
    select
}

fn among(among: &Among, caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    match among {
        Among::Visible => return visible(caller),
        Among::Organization(guid) => select.and(
            "e.guid in (select user_guid from roles where organization_guid = ? \
             and space_guid is null)",
            [guid.to_string()],
        ),
        Among::Space(guid) => select.and(
            "e.guid in (select user_guid from roles where space_guid = ?)",
            [guid.to_string()],
        ),
    }
    select
}

/// A user the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &UserGuid,
) -> Result<Option<User>> {
    let mut select = visible(caller);
    select.and("e.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), user)
        .optional()?)
}

/// The same, or 404.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &UserGuid) -> Result<User> {
    find_visible(tx, caller, guid)?.ok_or_else(|| Error::not_found("User"))
}

/// A page of users.
pub(crate) fn list(
    tx: &ReadTx<'_>,
    wanted: &Among,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<User>> {
    let mut select = among(wanted, caller);
    query.filter_common(&mut select, "e", Some(ResourceType::User))?;
    query.filter(&mut select, "usernames", "u.user_name");
    query.filter(&mut select, "origins", "u.origin");
    if let Some(parts) = query.values("partial_usernames") {
        select.and(
            "e.guid in (select n.guid from json_each(?) p cross join users n \
             where instr(lower(n.user_name), lower(p.value)) > 0)",
            [serde_json::to_string(&parts)?],
        );
    }
    list_page(
        tx,
        &select,
        Columns {
            alias: "e",
            names: COLUMNS,
        },
        query,
        user,
    )
}

/// Users by guid, for `include`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<User>> {
    let mut select = Select::from(FROM);
    select.and_in("e.guid", guids);
    let mut statement = tx
        .sql()
        .prepare_cached(&select.sql(COLUMNS, "order by e.created_at, e.guid"))?;
    let rows = statement.query_map(params_from_iter(select.values()), user)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether a user has an entry.
pub(crate) fn exists(tx: &ReadTx<'_>, guid: &UserGuid) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from user_entries where guid = ?1")?;
    Ok(statement.exists([guid])?)
}

/// Adds a user; false when the entry exists already.
pub(crate) fn insert(tx: &WriteTx<'_>, guid: &UserGuid, now: Timestamp) -> Result<bool> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into user_entries (guid, created_at, updated_at) values (?1, ?2, ?2)",
        )?
        .execute(params![guid, now]);
    match done {
        Ok(_) => Ok(true),
        Err(error) if is_unique_violation(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Adds a user unless the entry exists: users who get a role or sign in are added.
pub(crate) fn ensure(tx: &WriteTx<'_>, guid: &UserGuid, now: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into user_entries (guid, created_at, updated_at) values (?1, ?2, ?2) on conflict do nothing",
        )?
        .execute(params![guid, now])?;
    Ok(())
}

/// Updates the time of a change.
pub(crate) fn touch(tx: &WriteTx<'_>, guid: &UserGuid, now: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached("update user_entries set updated_at = ?2 where guid = ?1")?
        .execute(params![guid, now])?;
    Ok(())
}

/// Deletes the entry.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &UserGuid) -> Result<()> {
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
