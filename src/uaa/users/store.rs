//! SQL of `users`: finding and changing single users.

use rusqlite::{OptionalExtension, Row, named_params};

use super::User;
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{DbError, ReadTx, WriteTx};
use crate::uaa::password::Hashed;
use crate::uaa::search::Search;
use crate::uaa::search::{Source, search};

macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "select guid, user_name, origin, external_id, given_name, family_name, email, active,
    verified, password_changed_at, generation, version, last_logon_at, previous_logon_at,
    created_at, updated_at
from users ",
            $rest
        )
    };
}

const FIND: &str = select_users!("where guid = :guid");

const FIND_BY_NAME: &str = select_users!(
    "where user_name = :user_name and (:origin is null or origin = :origin) order by origin"
);

const INSERT: &str = "insert into users (guid, user_name, origin, external_id, given_name,
    family_name, email, active, verified, password_hash, password_changed_at, created_at, updated_at)
values (:guid, :user_name, :origin, :external_id, :given_name,
    :family_name, :email, :active, :verified, :password_hash, :now, :now, :now)";

const UPDATE: &str = "update users set user_name = :user_name, external_id = :external_id,
    given_name = :given_name, family_name = :family_name, email = :email, active = :active,
    verified = :verified, generation = :generation, version = :version, updated_at = :updated_at
where guid = :guid";

const SET_PASSWORD: &str = "update users set password_hash = :password_hash,
    password_changed_at = :now, updated_at = :now, generation = generation + 1,
    version = version + 1, failed_logins = 0, login_not_before = 0
where guid = :guid
returning generation";

const RAISE_GENERATION: &str = "update users set generation = generation + 1
where guid = :guid
returning generation";

const ADMIN_PASSWORD_SEEN: &str = "select value from settings where name = 'uaa.admin_password'";

const REMEMBER_ADMIN_PASSWORD: &str =
    "insert into settings (name, value) values ('uaa.admin_password', :value)
on conflict (name) do update set value = excluded.value";

const DELETE: &str = "delete from users where guid = :guid";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        guid: row.get("guid")?,
        user_name: row.get("user_name")?,
        origin: row.get("origin")?,
        external_id: row.get("external_id")?,
        given_name: row.get("given_name")?,
        family_name: row.get("family_name")?,
        email: row.get("email")?,
        active: row.get("active")?,
        verified: row.get("verified")?,
        generation: row.get("generation")?,
        version: row.get("version")?,
        password_changed_at: row.get("password_changed_at")?,
        last_logon_at: row.get("last_logon_at")?,
        previous_logon_at: row.get("previous_logon_at")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The user with this guid.
pub fn find_user(tx: &ReadTx<'_>, guid: &UserGuid) -> Result<Option<User>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND)?;
    let found = statement.query_row(named_params! { ":guid": guid }, user);
    Ok(found.optional()?)
}

/// Users with this name, in one origin or in all.
pub fn find_users_by_name(
    tx: &ReadTx<'_>,
    user_name: &str,
    origin: Option<&str>,
) -> Result<Vec<User>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND_BY_NAME)?;
    let parameters = named_params! { ":user_name": user_name, ":origin": origin };
    let rows = statement.query_map(parameters, user)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const SEARCH: Source = Source {
    select: select_users!(""),
    table: "users",
    key: "guid",
};

/// One page of the users that match a search, and the total count.
pub(crate) fn search_users(tx: &ReadTx<'_>, wanted: &Search) -> Result<(Vec<User>, i64), DbError> {
    search(tx, &SEARCH, wanted, user)
}

/// Inserts a new user; `created_at` is used for all its times.
pub(crate) fn insert(
    tx: &WriteTx<'_>,
    user: &User,
    password: Option<&Hashed>,
) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(INSERT)?;
    statement.execute(named_params! {
        ":guid": user.guid,
        ":user_name": user.user_name,
        ":origin": user.origin,
        ":external_id": user.external_id,
        ":given_name": user.given_name,
        ":family_name": user.family_name,
        ":email": user.email,
        ":active": user.active,
        ":verified": user.verified,
        ":password_hash": password.map(Hashed::as_str),
        ":now": user.created_at,
    })?;
    Ok(())
}

/// Updates the attributes of a user, except its password.
pub(crate) fn update(tx: &WriteTx<'_>, user: &User) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(UPDATE)?;
    statement.execute(named_params! {
        ":guid": user.guid,
        ":user_name": user.user_name,
        ":external_id": user.external_id,
        ":given_name": user.given_name,
        ":family_name": user.family_name,
        ":email": user.email,
        ":active": user.active,
        ":verified": user.verified,
        ":generation": user.generation,
        ":version": user.version,
        ":updated_at": user.updated_at,
    })?;
    Ok(())
}

/// Sets the password; returns the new generation, or `None` when there is no such user.
pub(crate) fn set_password(
    tx: &WriteTx<'_>,
    guid: &UserGuid,
    password: &Hashed,
    now: Timestamp,
) -> Result<Option<i64>, DbError> {
    let mut statement = tx.sql().prepare_cached(SET_PASSWORD)?;
    let parameters =
        named_params! { ":guid": guid, ":password_hash": password.as_str(), ":now": now };
    let generation = statement.query_row(parameters, |row| row.get(0));
    Ok(generation.optional()?)
}

/// Invalidates everything issued so far; returns the new generation, or `None` when there is no
/// such user.
pub(crate) fn raise_generation(tx: &WriteTx<'_>, guid: &UserGuid) -> Result<Option<i64>, DbError> {
    let mut statement = tx.sql().prepare_cached(RAISE_GENERATION)?;
    let generation = statement.query_row(named_params! { ":guid": guid }, |row| row.get(0));
    Ok(generation.optional()?)
}

/// Deletes a user; its tokens, codes and memberships go with it.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &UserGuid) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(DELETE)?;
    statement.execute(named_params! { ":guid": guid })?;
    Ok(())
}

/// The administrator's password as it was last given, hashed.
pub(crate) fn admin_password_seen(tx: &ReadTx<'_>) -> Result<Option<Hashed>, DbError> {
    let mut statement = tx.sql().prepare_cached(ADMIN_PASSWORD_SEEN)?;
    let found: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(found.map(Hashed::stored))
}

/// Stores the administrator's password as it was given, hashed.
pub(crate) fn remember_admin_password(tx: &WriteTx<'_>, password: &Hashed) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(REMEMBER_ADMIN_PASSWORD)?;
    statement.execute(named_params! { ":value": password.as_str() })?;
    Ok(())
}
