//! Who may do what with the repositories of the image registry.
//!
//! `organization/space/…` belongs to a space: its developers push, whoever may download its droplets
//! pulls. `user/…` belongs to a user. `proxy/…` is read from other registries by every user. Everything else belongs to the platform. Administrators may
//! push and pull what belongs to others, but not change what belongs to the platform.

use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::repositories::{Owner, component, owner};
use crate::db::ReadTx;
use crate::registry::{Action, RepositoryName};

/// Refuses what the caller may not do.
pub(crate) fn check(
    tx: &ReadTx<'_>,
    caller: &Caller,
    repository: &RepositoryName,
    action: Action,
) -> Result<()> {
    let allowed = match (owner(tx, repository)?, action) {
        (Owner::Platform, Action::Pull) => caller.sees_all_secrets(),
        (Owner::Elsewhere, Action::Pull) => true,
        (Owner::Platform | Owner::Elsewhere, Action::Push | Action::Delete) => false,
        (Owner::Space(space), Action::Pull) => {
            return caller.may_download_droplets(tx, &space);
        }
        (Owner::Space(space), Action::Push | Action::Delete) => {
            return caller.may_write_space(tx, &space);
        }
        (Owner::User(_), Action::Pull) if caller.sees_all_secrets() => true,
        (Owner::User(_), _) if caller.is_admin() => true,
        (Owner::User(name), _) => !caller.is_client && component(&caller.name) == name,
    };
    if allowed {
        Ok(())
    } else {
        Err(Error::forbidden())
    }
}
