//! SQL of `login_sessions`, `passcodes` and `approvals`.

use rusqlite::{OptionalExtension, Row, named_params};

use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{DbError, ReadTx, WriteTx};
use crate::uaa::scopes::Scopes;

/// The row of a session or a passcode.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) user: UserGuid,
    pub(crate) generation: i64,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

const INSERT_SESSION: &str = "insert into login_sessions (session_hash, user_guid, generation,
    authenticated_at, expires_at)
values (:hash, :user_guid, :generation, :authenticated_at, :expires_at)";

const FIND_SESSION: &str = "select user_guid, generation, authenticated_at, expires_at
from login_sessions where session_hash = :hash";

const DELETE_SESSION: &str = "delete from login_sessions where session_hash = :hash";

const INSERT_PASSCODE: &str = "insert into passcodes (code_hash, user_guid, generation,
    authenticated_at, expires_at)
values (:hash, :user_guid, :generation, :authenticated_at, :expires_at)";

const TAKE_PASSCODE: &str = "delete from passcodes where code_hash = :hash
returning user_guid, generation, authenticated_at, expires_at";

const APPROVED: &str = "select scopes from approvals
where user_guid = :user_guid and client_id = :client_id and expires_at > :now";

const APPROVE: &str = "insert into approvals (user_guid, client_id, scopes, expires_at)
values (:user_guid, :client_id, :scopes, :expires_at)
on conflict (user_guid, client_id) do update
set scopes = excluded.scopes, expires_at = excluded.expires_at";

const DELETE_SESSIONS: &str = "delete from login_sessions where user_guid = :user_guid";
const DELETE_PASSCODES: &str = "delete from passcodes where user_guid = :user_guid";

const PRUNE_SESSIONS: &str = "delete from login_sessions where expires_at <= :now";
const PRUNE_PASSCODES: &str = "delete from passcodes where expires_at <= :now";
const PRUNE_APPROVALS: &str = "delete from approvals where expires_at <= :now";

fn ticket(row: &Row<'_>) -> rusqlite::Result<Ticket> {
    Ok(Ticket {
        user: row.get("user_guid")?,
        generation: row.get("generation")?,
        authenticated_at: row.get("authenticated_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn insert(tx: &WriteTx<'_>, sql: &str, hash: &str, ticket: &Ticket) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(sql)?;
    statement.execute(named_params! {
        ":hash": hash,
        ":user_guid": ticket.user,
        ":generation": ticket.generation,
        ":authenticated_at": ticket.authenticated_at,
        ":expires_at": ticket.expires_at,
    })?;
    Ok(())
}

/// Stores a session by its hash.
pub(super) fn insert_session(tx: &WriteTx<'_>, hash: &str, ticket: &Ticket) -> Result<(), DbError> {
    insert(tx, INSERT_SESSION, hash, ticket)
}

/// The session with this hash.
pub(super) fn find_session(tx: &ReadTx<'_>, hash: &str) -> Result<Option<Ticket>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND_SESSION)?;
    let found = statement.query_row(named_params! { ":hash": hash }, ticket);
    Ok(found.optional()?)
}

/// Deletes a session.
pub(super) fn delete_session(tx: &WriteTx<'_>, hash: &str) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(DELETE_SESSION)?;
    statement.execute(named_params! { ":hash": hash })?;
    Ok(())
}

/// Stores a passcode by its hash.
pub(super) fn insert_passcode(
    tx: &WriteTx<'_>,
    hash: &str,
    ticket: &Ticket,
) -> Result<(), DbError> {
    insert(tx, INSERT_PASSCODE, hash, ticket)
}

/// Finds and deletes the passcode with this hash.
pub(super) fn take_passcode(tx: &WriteTx<'_>, hash: &str) -> Result<Option<Ticket>, DbError> {
    let mut statement = tx.sql().prepare_cached(TAKE_PASSCODE)?;
    let found = statement.query_row(named_params! { ":hash": hash }, ticket);
    Ok(found.optional()?)
}

/// The scopes that the user approved for the client.
pub(crate) fn approved(
    tx: &ReadTx<'_>,
    user: &UserGuid,
    client_id: &str,
    now: Timestamp,
) -> Result<Scopes, DbError> {
    let mut statement = tx.sql().prepare_cached(APPROVED)?;
    let parameters = named_params! { ":user_guid": user, ":client_id": client_id, ":now": now };
    let found = statement.query_row(parameters, |row| row.get(0));
    Ok(found.optional()?.unwrap_or_default())
}

/// Stores the scopes that the user approves for the client; replaces earlier ones.
pub(crate) fn approve(
    tx: &WriteTx<'_>,
    user: &UserGuid,
    client_id: &str,
    scopes: &Scopes,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(APPROVE)?;
    statement.execute(named_params! {
        ":user_guid": user,
        ":client_id": client_id,
        ":scopes": scopes,
        ":expires_at": expires_at,
    })?;
    Ok(())
}

/// Deletes all sessions and passcodes of a user.
pub(crate) fn delete_of_user(tx: &WriteTx<'_>, user: &UserGuid) -> Result<(), DbError> {
    for sql in [DELETE_SESSIONS, DELETE_PASSCODES] {
        let mut statement = tx.sql().prepare_cached(sql)?;
        statement.execute(named_params! { ":user_guid": user })?;
    }
    Ok(())
}

/// Deletes expired rows.
pub(crate) fn prune(tx: &WriteTx<'_>, now: Timestamp) -> Result<(), DbError> {
    for sql in [PRUNE_SESSIONS, PRUNE_PASSCODES, PRUNE_APPROVALS] {
        let mut statement = tx.sql().prepare_cached(sql)?;
        statement.execute(named_params! { ":now": now })?;
    }
    Ok(())
}
