//! Authentication with a password.
//!
//! The right password is answered at once; wrong ones are answered with increasing delays, per
//! source ([`throttle`](crate::uaa::throttle)). An unknown name is checked and answered like a
//! known one.

mod store;
#[cfg(test)]
mod tests;

pub(crate) use store::{record_logon, reset_failures};

use super::Uaa;
use super::error::{UaaError, UaaResult};
use super::throttle::{Attempt, MEMORY, Source, Subject, pause_after};
use super::users::{self, Identity, User};
use crate::base::guid::UserGuid;
use crate::base::{Secret, Timestamp};

/// Finds the user by name and origin, and checks the password.
pub(crate) async fn authenticate(
    uaa: &Uaa,
    source: Source,
    identity: Identity<'_>,
    password: Secret<String>,
) -> UaaResult<Option<User>> {
    let Identity { user_name, origin } = identity;
    let (name, from) = (user_name.to_owned(), origin.to_owned());
    let found = uaa
        .db()
        .read(move |tx| users::find_users_by_name(tx, &name, Some(&from)))
        .await?;
    if let Some(user) = found.into_iter().next() {
        return authenticate_user(uaa, source, &user.guid, password).await;
    }
    let nobody = Subject::new("nobody", &user_name.to_lowercase());
    let attempt = attempt(uaa, source, nobody).await?;
    uaa.passwords().matches(source, password, None).await?;
    Ok(answer(attempt, None).await)
}

/// Checks the password of this user.
pub(crate) async fn authenticate_user(
    uaa: &Uaa,
    source: Source,
    guid: &UserGuid,
    password: Secret<String>,
) -> UaaResult<Option<User>> {
    let attempt = attempt(uaa, source, Subject::new("user", guid.as_str())).await?;
    // Read only now: the attempt may have waited.
    let asked = guid.clone();
    let login = uaa.db().read(move |tx| store::find(tx, &asked)).await?;
    let Some(login) = login else {
        return Ok(answer(attempt, None).await);
    };
    attempt.add_earlier_failures(if still_counts(&login, uaa.opened_at(), uaa.now()) {
        login.failures
    } else {
        0
    });
    let passwords = uaa.passwords();
    if !passwords.matches(source, password, login.password).await? {
        record_failure(uaa, guid).await?;
        return Ok(answer(attempt, None).await);
    }
    let asked = guid.clone();
    let user = uaa
        .db()
        .read(move |tx| users::find_user(tx, &asked))
        .await?;
    // The password was right when it was read; a change since then takes precedence.
    let unchanged = user.filter(|user| user.active && user.generation == login.generation);
    Ok(answer(attempt, unchanged).await)
}

/// Waits until an attempt may be checked.
pub(crate) async fn attempt(uaa: &Uaa, source: Source, subject: Subject) -> UaaResult<Attempt> {
    let admitted = uaa.throttle().attempt(source, subject).await;
    admitted.map_err(|_| UaaError::too_many_attempts())
}

/// What an attempt proved, returned when the throttle allows it.
pub(crate) async fn answer<T>(attempt: Attempt, proven: Option<T>) -> Option<T> {
    match proven {
        Some(_) => attempt.right(),
        None => attempt.wrong().await,
    }
    proven
}

/// Whether the stored failures come from an earlier process (this one counts its own) and are
/// recent enough.
fn still_counts(login: &store::Login, opened_at: Timestamp, now: Timestamp) -> bool {
    let at = last_failure(login);
    at <= opened_at && now.since(at) <= MEMORY
}

fn last_failure(login: &store::Login) -> Timestamp {
    let pause = i64::try_from(pause_after(login.failures).as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(login.not_before.as_micros().saturating_sub(pause))
}

async fn record_failure(uaa: &Uaa, guid: &UserGuid) -> UaaResult<()> {
    let (asked, now) = (guid.clone(), uaa.now());
    let noted = uaa.db().write_without_wake(move |tx| {
        let Some(login) = store::find(tx, &asked)? else {
            return Ok::<_, UaaError>(0);
        };
        let failures = login.failures.saturating_add(1);
        store::record_failure(tx, &asked, failures, now.plus(pause_after(failures)))?;
        Ok(failures)
    });
    let failures = noted.await?;
    tracing::info!(user.guid = %guid, failures, "wrong password");
    Ok(())
}
