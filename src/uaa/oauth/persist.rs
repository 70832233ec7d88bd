//! Stores issued tokens: one transaction checks that what they were issued on is still valid and
//! writes their rows. Signing takes a while; a new password, a new secret or a log-out may have
//! happened in between.

use super::issue::{Issued, TokenResponse};
use crate::base::Timestamp;
use crate::db::WriteTx;
use crate::uaa::claims::TokenId;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::tokens;
use crate::uaa::users::{self, User};
use crate::uaa::{Uaa, clients, logins};

/// What tokens were issued on.
pub(crate) enum Basis {
    /// A user's authentication in this request.
    LogIn(User),
    /// A code that an authenticated user got earlier.
    Code(User),
    /// A refresh token.
    Refresh(User, TokenId),
    /// A client's secret.
    Client,
}

/// Stores what was issued, or refuses it when its basis is no longer valid.
pub(crate) async fn persist(
    uaa: &Uaa,
    issued: Issued,
    basis: Basis,
    now: Timestamp,
) -> UaaResult<TokenResponse> {
    let Issued {
        response,
        access,
        client_generation,
        refresh,
    } = issued;
    let refused = match basis {
        Basis::Refresh(..) => UaaError::invalid_token("The refresh token was revoked"),
        Basis::Code(_) => UaaError::invalid_grant("Invalid authorization code"),
        Basis::LogIn(_) | Basis::Client => UaaError::bad_credentials(),
    };
    let kept = uaa.db().write_without_wake(move |tx| {
        let client = clients::find_client(tx, &access.client_id)?;
        let same_client = client.is_some_and(|client| client.generation == client_generation);
        if !same_client || !is_valid(tx, &basis, now)? {
            return Ok::<_, UaaError>(false);
        }
        tokens::prune(tx, now)?;
        tokens::insert_access(tx, &access)?;
        if let Some((row, hash)) = &refresh {
            tokens::insert_refresh(tx, row, hash)?;
        }
        Ok(true)
    });
    if kept.await? {
        Ok(response)
    } else {
        Err(refused)
    }
}

fn is_valid(tx: &WriteTx<'_>, basis: &Basis, now: Timestamp) -> UaaResult<bool> {
    let unchanged = |before: &User| {
        let found = users::find_user(tx, &before.guid)?;
        Ok(found.is_some_and(|user| user.active && user.generation == before.generation))
    };
    match basis {
        Basis::LogIn(user) => Ok(logins::record_logon(tx, &user.guid, user.generation, now)?),
        Basis::Code(user) => unchanged(user),
        Basis::Refresh(user, id) => {
            Ok(unchanged(user)? && tokens::find_refresh_by_id(tx, id)?.is_some())
        }
        Basis::Client => Ok(true),
    }
}
