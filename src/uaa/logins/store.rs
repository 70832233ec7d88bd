//! SQL of log-ins: the columns of `users` that decide whether and when a password is checked.

use rusqlite::{OptionalExtension, named_params};

use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{DbError, ReadTx, WriteTx};
use crate::uaa::password::Hashed;

const FIND: &str = "select password_hash, generation, failed_logins, login_not_before
from users where guid = :guid";

const RECORD_FAILURE: &str = "update users
set failed_logins = :failures, login_not_before = :not_before where guid = :guid";

const RECORD_LOGON: &str = "update users set failed_logins = 0, login_not_before = 0,
    previous_logon_at = last_logon_at, last_logon_at = :now
where guid = :guid and generation = :generation and active = 1";

const RESET_FAILURES: &str = "update users set failed_logins = 0, login_not_before = 0
where guid = :guid and failed_logins > 0";

/// The stored state that an attempt is checked against.
pub(super) struct Login {
    pub(super) password: Option<Hashed>,
    pub(super) generation: i64,
    pub(super) failures: u32,
    pub(super) not_before: Timestamp,
}

/// The state of a user's log-ins.
pub(super) fn find(tx: &ReadTx<'_>, guid: &UserGuid) -> Result<Option<Login>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND)?;
    let found = statement.query_row(named_params! { ":guid": guid }, |row| {
        Ok(Login {
            password: row
                .get::<_, Option<String>>("password_hash")?
                .map(Hashed::stored),
            generation: row.get("generation")?,
            failures: row.get("failed_logins")?,
            not_before: row.get("login_not_before")?,
        })
    });
    Ok(found.optional()?)
}

/// Records a wrong password.
pub(super) fn record_failure(
    tx: &WriteTx<'_>,
    guid: &UserGuid,
    failures: u32,
    not_before: Timestamp,
) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(RECORD_FAILURE)?;
    statement.execute(named_params! {
        ":guid": guid,
        ":failures": failures,
        ":not_before": not_before,
    })?;
    Ok(())
}

/// Records a log-in; false when the user changed since the password was checked.
pub(crate) fn record_logon(
    tx: &WriteTx<'_>,
    guid: &UserGuid,
    generation: i64,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut statement = tx.sql().prepare_cached(RECORD_LOGON)?;
    let parameters = named_params! { ":guid": guid, ":generation": generation, ":now": now };
    Ok(statement.execute(parameters)? == 1)
}

/// Resets the count of wrong passwords after a right one.
pub(crate) fn reset_failures(tx: &WriteTx<'_>, guid: &UserGuid) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(RESET_FAILURES)?;
    statement.execute(named_params! { ":guid": guid })?;
    Ok(())
}
