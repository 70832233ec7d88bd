//! Sessions of browsers: a random secret in a cookie, and a row with its hash, which holds the
//! user's tokens encrypted.
//!
//! A session belongs to the origin that it began at, ends after [`LIFETIME`] or with its tokens, and
//! survives a restart of the platform.

pub(super) mod cookies;
mod store;
pub(super) mod tokens;

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Console;
use super::show::Refused;
use crate::base::Secret;
use crate::base::secrets::{hash, random_secret};
use crate::db::{DbError, VaultError};
use crate::net::RequestBase;
use crate::uaa::{Claims, TokenError};

/// A working day, as long as that of the UAA's sign-in.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Access tokens with less time left are refreshed.
const EARLY_SECONDS: i64 = 20;

/// Why a session cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// What is stored cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What is stored is no session.
    #[error("a stored session cannot be read: {0}")]
    Format(#[from] serde_json::Error),
    /// The UAA gave no tokens.
    #[error("the UAA gave no tokens: {0}")]
    Tokens(String),
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        Self::internal(&error.to_string())
    }
}

/// The tokens of a session.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

/// A session whose access token is valid.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) secret: Secret<String>,
    pub(super) access: Secret<String>,
    pub(super) claims: Claims,
}

impl Session {
    /// What forms of this session carry.
    pub(super) fn form_token(&self) -> String {
        hash(&format!("console forms of {}", self.secret.expose()))
    }
}

impl Console {
    /// Starts a session and returns its secret.
    pub(super) async fn begin(
        &self,
        base: &RequestBase,
        tokens: Tokens,
    ) -> Result<Secret<String>, SessionError> {
        let secret = random_secret();
        let now = self.parts().clock.now();
        let row = store::Row {
            hash: hash(secret.expose()),
            origin: base.origin(),
            tokens: self.seal(&tokens)?,
            expires_at: now.plus(LIFETIME),
        };
        let db = &self.parts().db;
        db.write_without_wake(move |tx| {
            store::prune(tx, now)?;
            store::insert(tx, &row)
        })
        .await?;
        Ok(secret)
    }

    /// The session of this cookie, with a valid access token. `None` when there is none any more.
    pub(super) async fn session(
        &self,
        base: &RequestBase,
        secret: Secret<String>,
    ) -> Result<Option<Session>, SessionError> {
        let Some(tokens) = self.stored(base, &secret).await? else {
            return Ok(None);
        };
        let claims = match self.parts().uaa.verify(&tokens.access) {
            Ok(claims) => claims,
            Err(TokenError::Expired) => return self.refreshed(base, secret).await,
            Err(TokenError::Revoked | TokenError::Unknown) => return Ok(None),
        };
        let left = claims.expires_at - self.parts().clock.now().as_seconds();
        if left < EARLY_SECONDS {
            return self.refreshed(base, secret).await;
        }
        Ok(Some(Session {
            secret,
            access: Secret::new(tokens.access),
            claims,
        }))
    }

    /// Ends a session and returns its tokens, if it was one.
    pub(super) async fn end(
        &self,
        base: &RequestBase,
        secret: &Secret<String>,
    ) -> Result<Option<Tokens>, SessionError> {
        let tokens = self.stored(base, secret).await?;
        let hash = hash(secret.expose());
        let db = &self.parts().db;
        db.write_without_wake(move |tx| store::delete(tx, &hash))
            .await?;
        Ok(tokens)
    }

    async fn stored(
        &self,
        base: &RequestBase,
        secret: &Secret<String>,
    ) -> Result<Option<Tokens>, SessionError> {
        let hash = hash(secret.expose());
        let found = self.parts().db.read(move |tx| store::find(tx, &hash));
        let Some(row) = found.await? else {
            return Ok(None);
        };
        if row.origin != base.origin() || row.expires_at <= self.parts().clock.now() {
            return Ok(None);
        }
        let plain = self.parts().vault.decrypt(&row.tokens)?;
        Ok(Some(serde_json::from_slice(&plain)?))
    }

    fn seal(&self, tokens: &Tokens) -> Result<Vec<u8>, SessionError> {
        Ok(self.parts().vault.encrypt(&serde_json::to_vec(tokens)?)?)
    }

    /// Exchanges the refresh token. One request does, others wait for it and take what it stored.
    async fn refreshed(
        &self,
        base: &RequestBase,
        secret: Secret<String>,
    ) -> Result<Option<Session>, SessionError> {
        let _turn = self.0.refreshing.lock().await;
        let Some(mut tokens) = self.stored(base, &secret).await? else {
            return Ok(None);
        };
        let now = self.parts().clock.now().as_seconds();
        let current = self.parts().uaa.verify(&tokens.access).ok();
        let claims = match current.filter(|claims| claims.expires_at - now >= EARLY_SECONDS) {
            Some(claims) => claims,
            None => {
                let Some(new) = self.refresh(base, &tokens.refresh).await? else {
                    return Ok(None);
                };
                tokens = new;
                let (hash, sealed) = (hash(secret.expose()), self.seal(&tokens)?);
                let db = &self.parts().db;
                db.write_without_wake(move |tx| store::update(tx, &hash, &sealed))
                    .await?;
                match self.parts().uaa.verify(&tokens.access) {
                    Ok(claims) => claims,
                    Err(error) => return Err(SessionError::Tokens(error.to_string())),
                }
            }
        };
        Ok(Some(Session {
            secret,
            access: Secret::new(tokens.access),
            claims,
        }))
    }
}
