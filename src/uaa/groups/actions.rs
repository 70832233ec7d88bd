//! Changes to groups, each in its caller's transaction.

use super::payload::MemberChange;
use super::{Group, GroupGuid, store};
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::WriteTx;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::users;

/// Creates a group with these members.
pub(super) fn create(
    tx: &WriteTx<'_>,
    group: Group,
    members: &[UserGuid],
    now: Timestamp,
) -> UaaResult<Group> {
    if !store::insert(tx, &group)? {
        return Err(UaaError::group_exists(&group.name));
    }
    for user in members {
        add_member(tx, &group, user, now)?;
    }
    Ok(group)
}

/// Replaces `before` with `after` and changes its members.
pub(super) fn update(
    tx: &WriteTx<'_>,
    before: &Group,
    mut after: Group,
    changes: &[MemberChange],
    now: Timestamp,
) -> UaaResult<Group> {
    if before.name != after.name && before.is_of_the_platform() {
        return Err(UaaError::access_denied(format!(
            "The group {} belongs to the platform and cannot be renamed",
            before.name
        )));
    }
    after.version = before.version + 1;
    after.updated_at = now;
    if !store::update(tx, &after)? {
        return Err(UaaError::group_exists(&after.name));
    }
    for change in changes {
        match change {
            MemberChange::Add(user) => {
                add_member(tx, &after, user, now)?;
            }
            MemberChange::Remove(user) => {
                store::remove_member(tx, &after.name, user)?;
            }
            MemberChange::RemoveAll => {
                let mut members = store::members(tx, std::slice::from_ref(&after))?;
                for member in members.remove(&after.name).unwrap_or_default() {
                    store::remove_member(tx, &after.name, &member.user)?;
                }
            }
        }
    }
    Ok(after)
}

/// Deletes a group.
pub(super) fn delete(tx: &WriteTx<'_>, group: &Group) -> UaaResult<()> {
    if group.is_of_the_platform() {
        return Err(UaaError::access_denied(format!(
            "The group {} belongs to the platform and cannot be deleted",
            group.name
        )));
    }
    Ok(store::delete(tx, &group.guid)?)
}

/// Adds a user to a group; false when it is a member already.
pub(super) fn add_member(
    tx: &WriteTx<'_>,
    group: &Group,
    user: &UserGuid,
    now: Timestamp,
) -> UaaResult<bool> {
    if users::find_user(tx, user)?.is_none() {
        return Err(UaaError::invalid_scim(format!(
            "Invalid group member: there is no user {user}"
        )));
    }
    if group.holds_everybody() {
        return Ok(true);
    }
    Ok(store::add_member(tx, &group.name, user, now)?)
}

/// The group, or 404.
pub(super) fn existing(tx: &crate::db::ReadTx<'_>, guid: &GroupGuid) -> UaaResult<Group> {
    let found = store::find(tx, guid)?;
    found.ok_or_else(|| UaaError::no_such_scim(format!("Group {guid} does not exist")))
}
