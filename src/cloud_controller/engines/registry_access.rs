//! Who may use the image registry: users with their password or a token; their roles decide.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::base::Secret;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::actions;
use crate::cloud_controller::error::{Error, Kind};
use crate::cloud_controller::v3::{caller_of, check_scope};
use crate::db::Db;
use crate::registry::{Access, Action, Credentials, Denied, RepositoryName};
use crate::uaa::{Claims, Uaa};

/// Clients send the password with each of many requests, and checking one takes long: a right one
/// is not checked again for so long.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The most passwords that are remembered.
const MOST: usize = 64;

/// Decides about callers of the registry.
pub(crate) struct RegistryAccess {
    uaa: Uaa,
    db: Db,
    /// By a hash of name and password.
    proven: Mutex<BTreeMap<[u8; 32], (Claims, Instant)>>,
}

impl RegistryAccess {
    pub(crate) fn new(uaa: Uaa, db: Db) -> Self {
        Self {
            uaa,
            db,
            proven: Mutex::default(),
        }
    }

    /// Who asks; its token must allow reading, or else writing.
    async fn caller(&self, credentials: &Credentials, reads: bool) -> Result<Caller, Denied> {
        let refused = |text: &str| Denied::Unauthorized(text.to_owned());
        let claims = match credentials {
            Credentials::Anonymous => {
                return Err(refused("log in with the name and password of a user"));
            }
            Credentials::Basic { user, password } => self.log_in(user, password).await?,
            Credentials::Bearer(token) => self
                .uaa
                .verify(token.expose())
                .map_err(|_| refused("the token is not valid"))?,
        };
        let scope = if reads { "read" } else { "write" };
        let lacking = || Denied::Forbidden(format!("the token lacks cloud_controller.{scope}"));
        let caller = caller_of(&claims).map_err(|_| lacking())?;
        check_scope(reads, &claims, &caller).map_err(|_| lacking())?;
        Ok(caller)
    }

    async fn log_in(&self, user: &str, password: &Secret<String>) -> Result<Claims, Denied> {
        let mut hash = Sha256::new();
        hash.update((user.len() as u64).to_le_bytes());
        hash.update(user);
        hash.update(password.expose());
        let hash: [u8; 32] = hash.finalize().into();
        if let Some(claims) = self.remembered(&hash) {
            return Ok(claims);
        }
        let claims = self.uaa.claims_of(user, password.clone()).await;
        let claims = claims.map_err(|error| Denied::Failed(format!("{error:?}")))?;
        let Some(claims) = claims else {
            let text = "the name or the password is wrong";
            return Err(Denied::Unauthorized(text.to_owned()));
        };
        self.remember(hash, claims.clone());
        Ok(claims)
    }

    fn remembered(&self, hash: &[u8; 32]) -> Option<Claims> {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        let (claims, since) = proven.get(hash)?;
        (since.elapsed() < REMEMBERED).then(|| claims.clone())
    }

    fn remember(&self, hash: [u8; 32], claims: Claims) {
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        if proven.len() < MOST {
            proven.insert(hash, (claims, Instant::now()));
        }
    }
}

#[async_trait]
impl Access for RegistryAccess {
    async fn authorize(
        &self,
        credentials: &Credentials,
        repository: Option<&RepositoryName>,
        action: Action,
    ) -> Result<(), Denied> {
        let reads = action == Action::Pull;
        let caller = self.caller(credentials, reads).await?;
        let Some(repository) = repository.cloned() else {
            return Ok(());
        };
        let refused = |error: Error| match error.kind() {
            Kind::ServerError => Denied::Failed(error.to_string()),
            _ => Denied::Forbidden(format!("you may not do this in {repository}")),
        };
        let (asking, name) = (caller.clone(), repository.clone());
        let checked = self.db.read(move |tx| {
            actions::repositories::check(tx, &asking, &name, action)?;
            actions::repositories::is_unclaimed(tx, &name)
        });
        let is_unclaimed = checked.await.map_err(refused)?;
        if is_unclaimed && action == Action::Push {
            let name = repository.clone();
            let claimed = self
                .db
                .write_without_wake(move |tx| actions::repositories::claim(tx, &caller, &name));
            claimed.await.map_err(refused)?;
        }
        Ok(())
    }

    async fn operate(&self, credentials: &Credentials) -> Result<(), Denied> {
        if self.caller(credentials, false).await?.is_admin() {
            Ok(())
        } else {
            let text = "only administrators operate the registry";
            Err(Denied::Forbidden(text.to_owned()))
        }
    }
}
