//! Browser sessions, and the one-time passcodes that people copy from there to the CLI.
//!
//! A session is a random secret in a cookie and a row with its hash. It ends when the user's
//! generation changes (new password, deactivation), when the user signs out, or when it expires.
//! Cookies are `HttpOnly` and `SameSite=Lax`: other sites may link here, but not act for the user.

pub(crate) mod browser;
mod store;

pub(crate) use store::{approve, approved, delete_of_user, prune};

use crate::base::secrets::{hash, random_secret};
use crate::base::{Secret, Timestamp};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::lifetime;
use crate::uaa::users::User;
use crate::uaa::{Uaa, logins, users};
use store::Ticket;

/// Letters and digits that are hard to confuse; 32 of them, so that each is equally likely.
const PASSCODE_LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyzACDEFHJKL";

const PASSCODE_LENGTH: usize = 16;

/// A session with a known user.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: User,
    /// When the user gave the password.
    pub(crate) authenticated_at: Timestamp,
    /// The CSRF token of this session's forms.
    pub(crate) csrf: String,
}

/// Starts a session for a user who has just authenticated. `None` when the user changed since.
pub(crate) async fn start(uaa: &Uaa, user: &User) -> UaaResult<Option<Secret<String>>> {
    let secret = random_secret();
    let (session_hash, now) = (hash(secret.expose()), uaa.now());
    let ticket = Ticket {
        user: user.guid.clone(),
        generation: user.generation,
        authenticated_at: now,
        expires_at: now.plus(lifetime::SESSION),
    };
    let started = uaa.db().write_without_wake(move |tx| {
        if !logins::record_logon(tx, &ticket.user, ticket.generation, now)? {
            return Ok::<_, UaaError>(false);
        }
        prune(tx, now)?;
        store::insert_session(tx, &session_hash, &ticket)?;
        Ok(true)
    });
    Ok(started.await?.then_some(secret))
}

/// The session of this cookie, if it is valid.
pub(crate) async fn find(uaa: &Uaa, secret: &Secret<String>) -> UaaResult<Option<Session>> {
    let session_hash = hash(secret.expose());
    let found = uaa.db().read(move |tx| {
        let Some(ticket) = store::find_session(tx, &session_hash)? else {
            return Ok::<_, UaaError>(None);
        };
        let user = users::find_user(tx, &ticket.user)?;
        Ok(user.map(|user| (ticket, user)))
    });
    let counts = valid(found.await?, uaa.now());
    Ok(counts.map(|(user, authenticated_at)| Session {
        user,
        authenticated_at,
        csrf: hash(&format!("forms of {}", secret.expose())),
    }))
}

/// Ends a session.
pub(crate) async fn end(uaa: &Uaa, secret: &Secret<String>) -> UaaResult<()> {
    let session_hash = hash(secret.expose());
    uaa.db()
        .write_without_wake(move |tx| store::delete_session(tx, &session_hash))
        .await?;
    Ok(())
}

/// A new passcode for the signed-in user.
pub(crate) async fn issue_passcode(uaa: &Uaa, session: &Session) -> UaaResult<Secret<String>> {
    let code: String = rand::random::<[u8; PASSCODE_LENGTH]>()
        .iter()
        .map(|byte| char::from(PASSCODE_LETTERS[usize::from(byte % 32)]))
        .collect();
    let (code_hash, now) = (hash(&code), uaa.now());
    let ticket = Ticket {
        user: session.user.guid.clone(),
        generation: session.user.generation,
        authenticated_at: session.authenticated_at,
        expires_at: now.plus(lifetime::PASSCODE),
    };
    uaa.db()
        .write_without_wake(move |tx| {
            prune(tx, now)?;
            store::insert_passcode(tx, &code_hash, &ticket)
        })
        .await?;
    Ok(Secret::new(code))
}

/// Redeems a passcode: its user and when they gave the password. A passcode is valid once.
pub(crate) async fn take_passcode(
    uaa: &Uaa,
    code: &Secret<String>,
    now: Timestamp,
) -> UaaResult<Option<(User, Timestamp)>> {
    let code_hash = hash(code.expose());
    let taken = uaa.db().write_without_wake(move |tx| {
        let Some(ticket) = store::take_passcode(tx, &code_hash)? else {
            return Ok::<_, UaaError>(None);
        };
        let user = users::find_user(tx, &ticket.user)?;
        Ok(user.map(|user| (ticket, user)))
    });
    Ok(valid(taken.await?, now))
}

fn valid(found: Option<(Ticket, User)>, now: Timestamp) -> Option<(User, Timestamp)> {
    let (ticket, user) = found?;
    let counts = ticket.expires_at > now && user.active && user.generation == ticket.generation;
    counts.then_some((user, ticket.authenticated_at))
}
