//! Who may do what with the repositories of the image registry.
//!
//! `organization/space/…` belongs to a space: its developers push, whoever may download its droplets
//! pulls. `user/…` belongs to a user. The owner stays the same when names change. `proxy/…` is read from other registries by every user. Everything else belongs to the platform. Administrators may
//! push and pull what belongs to others, but not change what belongs to the platform.

use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::repositories::{Owner, component, owner, record, user_named};
use crate::db::{ReadTx, WriteTx};
use crate::registry::{Action, RepositoryName};

/// Refuses what the caller may not do. Who pushes to a repository that is nobody's becomes its owner
/// by [`claim`].
pub(crate) fn check(
    tx: &ReadTx<'_>,
    caller: &Caller,
    repository: &RepositoryName,
    action: Action,
) -> Result<()> {
    let (owner, _) = owner(tx, repository)?;
    let allowed = match (&owner, action) {
        (Owner::Platform, Action::Pull) => caller.sees_all_secrets(),
        (Owner::Elsewhere, Action::Pull) => true,
        (Owner::Platform | Owner::Elsewhere, Action::Push | Action::Delete) => false,
        (Owner::Space(space), Action::Pull) => {
            return caller.may_download_droplets(tx, space);
        }
        (Owner::Space(space), Action::Push | Action::Delete) => {
            return caller.may_write_space(tx, space);
        }
        (Owner::User(_) | Owner::Nobody(_), Action::Pull) if caller.sees_all_secrets() => true,
        (Owner::User(_) | Owner::Nobody(_), _) if caller.is_admin() => true,
        (Owner::User(user), _) => !caller.is_client && caller.guid == *user,
        (Owner::Nobody(name), _) => !caller.is_client && component(&caller.name) == *name,
    };
    if allowed {
        Ok(())
    } else {
        Err(Error::forbidden())
    }
}

/// Whether a push to the repository needs [`claim`].
pub(crate) fn is_unclaimed(tx: &ReadTx<'_>, repository: &RepositoryName) -> Result<bool> {
    Ok(!owner(tx, repository)?.1)
}

/// Records the owner of a repository at its first push, if the caller may push: its space, or the
/// user whom its name says; an administrator if there is none.
pub(crate) fn claim(tx: &WriteTx<'_>, caller: &Caller, repository: &RepositoryName) -> Result<()> {
    check(tx, caller, repository, Action::Push)?;
    let owner = match owner(tx, repository)? {
        (_, true) => return Ok(()),
        (Owner::Nobody(name), _) if component(&caller.name) != name || caller.is_client => {
            match user_named(tx, &name)? {
                Some(user) => Owner::User(user),
                // A client owns nothing.
                None if caller.is_client => return Ok(()),
                None => Owner::User(caller.guid.clone()),
            }
        }
        (Owner::Nobody(_), _) => Owner::User(caller.guid.clone()),
        (owner, _) => owner,
    };
    record(tx, repository, &owner)
}
