//! Proving who one is with a password.
//!
//! One look at a password at a time per user, later and later after wrong ones
//! ([`throttle`](crate::uaa::throttle)). An unknown name takes as long as
//! a first wrong password.

pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::Uaa;
use super::error::{UaaError, UaaResult};
use super::throttle::{LONGEST_PAUSE, Turn, pause_after};
use super::users::{self, User};
use crate::base::Secret;
use crate::base::guid::UserGuid;

/// A user whose password was right, and the turn that keeps other attempts waiting until the
/// caller is done.
pub(crate) struct Proven {
    pub(crate) user: User,
    _turn: Turn,
}

/// Looks for the user by name and checks the password.
pub(crate) async fn prove(
    uaa: &Uaa,
    user_name: &str,
    origin: &str,
    password: Secret<String>,
) -> UaaResult<Option<Proven>> {
    let (name, from) = (user_name.to_owned(), origin.to_owned());
    let found = uaa
        .db()
        .read(move |tx| users::store::find_users_by_name(tx, &name, Some(&from)))
        .await?;
    if let Some(user) = found.into_iter().next() {
        return prove_user(uaa, &user.guid, password).await;
    }
    uaa.passwords().matches(password, None).await?;
    Ok(None)
}

/// Checks the password of this user.
pub(crate) async fn prove_user(
    uaa: &Uaa,
    guid: &UserGuid,
    password: Secret<String>,
) -> UaaResult<Option<Proven>> {
    let turn = uaa.throttle().turn(guid.as_str()).await;
    let turn = turn.map_err(|_| UaaError::too_many_attempts())?;
    // Only now: the attempt before may have changed when this one is due.
    let asked = guid.clone();
    let login = uaa.db().read(move |tx| store::find(tx, &asked)).await?;
    let Some(login) = login else {
        return Ok(None);
    };
    let wait = login.not_before.since(uaa.now()).min(LONGEST_PAUSE);
    if wait > Duration::ZERO {
        tokio::time::sleep(wait).await;
    }
    let matches = uaa.passwords().matches(password, login.password).await?;
    if !matches {
        let failures = login.failures.saturating_add(1);
        let (asked, not_before) = (guid.clone(), uaa.now().plus(pause_after(failures)));
        uaa.db()
            .write_without_wake(move |tx| store::note_failure(tx, &asked, failures, not_before))
            .await?;
        tracing::info!(user.guid = %guid, failures, "wrong password");
        return Ok(None);
    }
    let asked = guid.clone();
    let user = uaa
        .db()
        .read(move |tx| users::store::find_user(tx, &asked))
        .await?;
    // The password was right at the moment it was read; a change since then counts more.
    let unchanged = user.filter(|user| user.active && user.generation == login.generation);
    Ok(unchanged.map(|user| Proven { user, _turn: turn }))
}
