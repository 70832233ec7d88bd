//! SQL of `user_groups` and `user_group_members`.

use rusqlite::named_params;

use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{DbError, ReadTx, WriteTx};
use crate::uaa::scopes::{OF_EVERY_USER, Scopes};

const ENSURE: &str = "insert into user_groups (name, created_at) values (:name, :now)
on conflict do nothing";

const ADD_MEMBER: &str = "insert into user_group_members (group_name, user_guid, created_at)
select name, :user_guid, :now from user_groups where name = :name
on conflict do nothing";

const OF_USER: &str = "select group_name from user_group_members where user_guid = :user_guid";

/// Makes sure that a group exists.
pub(super) fn ensure(tx: &WriteTx<'_>, name: &str, now: Timestamp) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(ENSURE)?;
    statement.execute(named_params! { ":name": name, ":now": now })?;
    Ok(())
}

/// Adds a user to a group; nothing happens when it is in it already or there is no such group.
pub fn add_member(
    tx: &WriteTx<'_>,
    name: &str,
    user: &UserGuid,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(ADD_MEMBER)?;
    statement.execute(named_params! { ":name": name, ":user_guid": user, ":now": now })?;
    Ok(())
}

/// All groups of a user, those of every user among them.
pub fn groups_of(tx: &ReadTx<'_>, user: &UserGuid) -> Result<Scopes, DbError> {
    let mut statement = tx.sql().prepare_cached(OF_USER)?;
    let rows = statement.query_map(named_params! { ":user_guid": user }, |row| row.get(0))?;
    let of_every_user = OF_EVERY_USER.iter().map(|name| Ok((*name).to_owned()));
    Ok(rows
        .chain(of_every_user)
        .collect::<Result<Vec<String>, _>>()?
        .into_iter()
        .collect())
}
