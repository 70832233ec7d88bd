//! The platform's administrator.
//!
//! The password comes from a file that the operator may replace. The last value of the file is
//! stored as a hash: a restart does not undo `cf passwd`, but a new file takes effect.

use super::accounts;
use super::users::{self, NewUser};
use crate::base::guid::UserGuid;
use crate::base::{Secret, Timestamp};
use crate::db::WriteTx;
use crate::uaa::error::UaaResult;
use crate::uaa::password::Hashed;
use crate::uaa::throttle::Source;
use crate::uaa::tokens::revocations::Revocations;
use crate::uaa::users::ORIGIN_UAA;
use crate::uaa::{Uaa, UaaError, groups, scopes};

/// Name of the administrator.
pub const ADMIN: &str = "admin";

/// What [`Uaa::ensure_admin`](crate::uaa::Uaa::ensure_admin) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminChange {
    /// There was none.
    Created,
    /// The password given is a new one.
    PasswordReplaced,
    /// Nothing changed.
    Unchanged,
}

/// Ensures that the administrator exists, is in all its groups, and has `password` unless that
/// password was set before.
pub(crate) async fn ensure(uaa: &Uaa, password: &Secret<String>) -> UaaResult<AdminChange> {
    let now = uaa.now();
    let found = uaa.write(move |tx, _| {
        let user = users::find_users_by_name(tx, ADMIN, Some(ORIGIN_UAA))?
            .into_iter()
            .next();
        if let Some(user) = &user {
            join_groups(tx, &user.guid, now)?;
        }
        Ok((user, users::admin_password_seen(tx)?))
    });
    let seen = match found.await? {
        (Some(_), Some(known)) => {
            uaa.passwords()
                .matches(Source::PLATFORM, password.clone(), Some(known))
                .await?
        }
        _ => false,
    };
    if seen {
        return Ok(AdminChange::Unchanged);
    }
    let hashed = uaa
        .passwords()
        .hash(Source::PLATFORM, password.clone())
        .await?;
    let guid = UserGuid::generate(uaa.guids());
    uaa.write(move |tx, revocations| set(tx, revocations, guid, &hashed, now))
        .await
}

fn set(
    tx: &WriteTx<'_>,
    revocations: &Revocations,
    new_guid: UserGuid,
    password: &Hashed,
    now: Timestamp,
) -> Result<AdminChange, UaaError> {
    let found = users::find_users_by_name(tx, ADMIN, Some(ORIGIN_UAA))?;
    let (guid, change) = if let Some(user) = found.into_iter().next() {
        accounts::set_password(tx, revocations, &user.guid, password, now)?;
        (user.guid, AdminChange::PasswordReplaced)
    } else {
        let user = accounts::create(tx, new_guid, NewUser::named(ADMIN), Some(password), now)?;
        (user.guid, AdminChange::Created)
    };
    users::remember_admin_password(tx, password)?;
    join_groups(tx, &guid, now)?;
    Ok(change)
}

fn join_groups(tx: &WriteTx<'_>, guid: &UserGuid, now: Timestamp) -> UaaResult<()> {
    for name in scopes::OF_ADMINISTRATORS {
        groups::add_member(tx, name, guid, now)?;
    }
    Ok(())
}
