//! SQL of `user_groups` and `user_group_members`.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Group, GroupGuid};
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{DbError, ReadTx, WriteTx};
use crate::uaa::scopes::{OF_EVERY_USER, Scopes};
use crate::uaa::search::Search;
use crate::uaa::search::{Source, search};

const ENSURE: &str = "insert into user_groups (guid, name, created_at, updated_at)
values (:guid, :name, :now, :now)
on conflict (name) do nothing";

const INSERT: &str = "insert into user_groups (guid, name, description, created_at, updated_at)
values (:guid, :name, :description, :now, :now)
on conflict (name) do nothing";

const FIND: &str = "select guid, name, description, version, created_at, updated_at
from user_groups where guid = :guid";

const LIST: Source = Source {
    select: "select guid, name, description, version, created_at, updated_at from user_groups",
    table: "user_groups",
    key: "guid",
};

const UPDATE: &str = "update or ignore user_groups set name = :name, description = :description,
    version = :version, updated_at = :now
where guid = :guid";

const DELETE: &str = "delete from user_groups where guid = :guid";

const ADD_MEMBER: &str = "insert into user_group_members (group_name, user_guid, created_at)
select name, :user_guid, :now from user_groups where name = :name
on conflict do nothing";

const REMOVE_MEMBER: &str = "delete from user_group_members
where group_name = :name and user_guid = :user_guid";

const OF_USER: &str = "select group_name from user_group_members where user_guid = :user_guid";

const OF_USERS: &str = "select m.user_guid, g.guid, g.name
from user_group_members m join user_groups g on g.name = m.group_name
where m.user_guid in (select value from json_each(:users)) order by g.name";

const OF_EVERYBODY: &str = "select guid, name from user_groups
where name in (select value from json_each(:names)) order by name";

const MEMBERS: &str = "select m.group_name, u.guid, u.origin
from user_group_members m join users u on u.guid = m.user_guid
where m.group_name in (select value from json_each(:names)) order by m.created_at, u.guid";

/// A user in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) user: UserGuid,
    pub(crate) origin: String,
}

/// A group's guid and name, as users show them.
pub(crate) type Named = (GroupGuid, String);

fn group(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        guid: row.get("guid")?,
        name: row.get("name")?,
        description: row.get("description")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Creates a group unless it exists.
pub(super) fn ensure(
    tx: &WriteTx<'_>,
    guid: &GroupGuid,
    name: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(ENSURE)?;
    statement.execute(named_params! { ":guid": guid, ":name": name, ":now": now })?;
    Ok(())
}

/// Inserts a new group; false when its name is taken.
pub(super) fn insert(tx: &WriteTx<'_>, group: &Group) -> Result<bool, DbError> {
    let mut statement = tx.sql().prepare_cached(INSERT)?;
    let inserted = statement.execute(named_params! {
        ":guid": group.guid,
        ":name": group.name,
        ":description": group.description,
        ":now": group.created_at,
    })?;
    Ok(inserted == 1)
}

/// The group with this guid.
pub(super) fn find(tx: &ReadTx<'_>, guid: &GroupGuid) -> Result<Option<Group>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND)?;
    let found = statement.query_row(named_params! { ":guid": guid }, group);
    Ok(found.optional()?)
}

/// One page of groups, and the total count.
pub(super) fn list(tx: &ReadTx<'_>, wanted: &Search) -> Result<(Vec<Group>, i64), DbError> {
    search(tx, &LIST, wanted, group)
}

/// Updates a group; false when its name is taken. The members stay.
pub(super) fn update(tx: &WriteTx<'_>, group: &Group) -> Result<bool, DbError> {
    let mut statement = tx.sql().prepare_cached(UPDATE)?;
    let updated = statement.execute(named_params! {
        ":guid": group.guid,
        ":name": group.name,
        ":description": group.description,
        ":version": group.version,
        ":now": group.updated_at,
    })?;
    Ok(updated == 1)
}

/// Deletes a group; its memberships go with it.
pub(super) fn delete(tx: &WriteTx<'_>, guid: &GroupGuid) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(DELETE)?;
    statement.execute(named_params! { ":guid": guid })?;
    Ok(())
}

/// Adds a user to a group; false when it is a member already or there is no such group.
pub(crate) fn add_member(
    tx: &WriteTx<'_>,
    name: &str,
    user: &UserGuid,
    now: Timestamp,
) -> Result<bool, DbError> {
    let mut statement = tx.sql().prepare_cached(ADD_MEMBER)?;
    let parameters = named_params! { ":name": name, ":user_guid": user, ":now": now };
    Ok(statement.execute(parameters)? == 1)
}

/// Removes a user from a group; false when it was not a member.
pub(super) fn remove_member(
    tx: &WriteTx<'_>,
    name: &str,
    user: &UserGuid,
) -> Result<bool, DbError> {
    let mut statement = tx.sql().prepare_cached(REMOVE_MEMBER)?;
    Ok(statement.execute(named_params! { ":name": name, ":user_guid": user })? == 1)
}

/// The users in these groups, by group name.
pub(super) fn members(
    tx: &ReadTx<'_>,
    groups: &[Group],
) -> Result<HashMap<String, Vec<Member>>, DbError> {
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let mut statement = tx.sql().prepare_cached(MEMBERS)?;
    let names = serde_json::json!(names).to_string();
    let mut rows = statement.query(named_params! { ":names": names })?;
    let mut found: HashMap<String, Vec<Member>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let member = Member {
            user: row.get("guid")?,
            origin: row.get("origin")?,
        };
        found
            .entry(row.get("group_name")?)
            .or_default()
            .push(member);
    }
    Ok(found)
}

/// All groups of a user, including those of every user.
pub(crate) fn groups_of(tx: &ReadTx<'_>, user: &UserGuid) -> Result<Scopes, DbError> {
    let mut statement = tx.sql().prepare_cached(OF_USER)?;
    let rows = statement.query_map(named_params! { ":user_guid": user }, |row| row.get(0))?;
    let of_every_user = OF_EVERY_USER.iter().map(|name| Ok((*name).to_owned()));
    Ok(rows
        .chain(of_every_user)
        .collect::<Result<Vec<String>, _>>()?
        .into_iter()
        .collect())
}

/// The groups of each of these users that are stored as rows.
pub(crate) fn memberships(
    tx: &ReadTx<'_>,
    users: &[&UserGuid],
) -> Result<HashMap<UserGuid, Vec<Named>>, DbError> {
    let mut statement = tx.sql().prepare_cached(OF_USERS)?;
    let users = serde_json::json!(users).to_string();
    let mut rows = statement.query(named_params! { ":users": users })?;
    let mut found: HashMap<UserGuid, Vec<Named>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let named = (row.get(1)?, row.get(2)?);
        found.entry(row.get(0)?).or_default().push(named);
    }
    Ok(found)
}

/// The groups that contain every user.
pub(crate) fn of_everybody(tx: &ReadTx<'_>) -> Result<Vec<Named>, DbError> {
    let mut statement = tx.sql().prepare_cached(OF_EVERYBODY)?;
    let names = serde_json::json!(OF_EVERY_USER).to_string();
    let rows = statement.query_map(named_params! { ":names": names }, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
