//! UAA: users, clients and tokens, compatible with the cf CLI and other clients of Cloud Foundry's
//! UAA.
//!
//! A request authenticates with client credentials (`/oauth/token` and friends) or with an access
//! token (everything else); scopes decide what it may do. Users' groups and clients' lists bound
//! the scopes of every token. Other parts of the platform verify tokens with [`Uaa::verify`], which
//! never waits, and read users ([`find_user`], [`find_users_by_name`]) inside their own
//! transactions.
//!
//! Invariants:
//! - Passwords are stored as argon2id hashes, tokens and codes as SHA-256, keys and client secrets
//!   encrypted. None of them is ever logged.
//! - A new password, deactivation and deletion end a user's tokens in the same transaction.
//! - Issuer and links use the address of the caller's request, so that they work from there.
//! - Hashing and signing run on blocking threads.
//!
//! Absent on purpose: identity zones and other identity providers (users of other origins may be
//! created, but have no password here), opaque tokens, implicit grants, nested groups.

mod accounts;
mod admin;
mod caller;
mod claims;
mod client_auth;
mod clients;
mod error;
mod groups;
mod info;
mod keys;
mod lifetime;
mod logins;
mod oauth;
mod pages;
mod password;
mod scim;
mod scopes;
mod screen;
mod search;
mod sessions;
#[cfg(test)]
mod testing;
mod throttle;
mod tokens;
mod users;
mod version;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::{Map, Value};

pub use accounts::create_shadow_user;
pub use admin::{ADMIN, AdminChange};
pub use claims::{Claims, TokenError, TokenId, bearer_token};
pub use clients::{
    Client, DashboardClient, GrantType, SeedError, delete_dashboard_client, is_client,
    save_dashboard_client,
};
pub use error::UaaError;
pub use groups::GroupGuid;
pub use keys::{KeyError, KeyId};
pub use scopes::Scopes;
pub use screen::screen;
pub use users::{Identity, NewUser, ORIGIN_UAA, User, find_user, find_users_by_name};

use crate::base::guid::UserGuid;
use crate::base::{Clock, GuidSource, Secret, Supervisor, Timestamp};
use crate::db::{Db, DbError, Vault, WriteTx};
use keys::Keyring;
use oauth::issue::{Stamp, UserGrant};
use password::PasswordHasher;
use throttle::{Source, Subject, Throttle};
use tokens::revocations::Revocations;

/// How often expired rows are deleted.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(3600);

/// The client of the cf CLI.
const CLI_CLIENT: &str = "cf";
/// Client whose codes open SSH sessions.
pub const SSH_CLIENT: &str = "ssh-proxy";

/// Metadata of UAA and its keys.
fn metadata_routes() -> Router<Uaa> {
    const DISCOVERY: &str = "/.well-known/openid-configuration";
    Router::new()
        .route("/info", get(info::login))
        .route(DISCOVERY, get(info::discovery))
        // Below the issuer, where OpenID Connect looks for it.
        .route(
            "/oauth/token/.well-known/openid-configuration",
            get(info::discovery),
        )
        .route("/token_key", get(keys::handlers::current))
        .route(
            "/token_keys",
            get(keys::handlers::all).post(keys::handlers::rotate),
        )
}

/// What UAA depends on.
pub struct Parts {
    /// Users, clients and tokens.
    pub db: Db,
    /// Encrypts stored secrets.
    pub vault: Vault,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// New guids and token ids.
    pub guids: GuidSource,
    /// Tokens' issuer without `/oauth/token`; `None` uses the address of each caller's request.
    pub issuer: Option<String>,
}

/// Why UAA cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The signing key is unusable.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The platform's clients could not be stored.
    #[error("cannot store the clients of the platform: {0}")]
    Seed(#[from] SeedError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The platform's UAA; cheap to clone.
#[derive(Clone)]
pub struct Uaa(Arc<Inner>);

struct Inner {
    parts: Parts,
    keys: Keyring,
    revocations: Revocations,
    passwords: PasswordHasher,
    throttle: Throttle,
    opened_at: Timestamp,
}

impl Uaa {
    /// Opens UAA: creates the signing key at first boot, writes the platform's clients and groups.
    pub async fn open(parts: Parts) -> Result<Self, OpenError> {
        let keys = Keyring::open(&parts.db, &parts.vault, &*parts.clock).await?;
        let (vault, guids, now) = (parts.vault.clone(), parts.guids.clone(), parts.clock.now());
        parts
            .db
            .write_without_wake(move |tx| {
                groups::seed(tx, &guids, now)?;
                clients::seed(tx, &vault, now)
            })
            .await?;
        let revocations = Revocations::open(&parts.db, now).await?;
        Ok(Self(Arc::new(Inner {
            parts,
            keys,
            revocations,
            passwords: PasswordHasher::new(),
            throttle: Throttle::default(),
            opened_at: now,
        })))
    }

    /// Starts the worker that deletes expired rows and rotates keys.
    pub fn start(&self, supervisor: &Supervisor) {
        let uaa = self.clone();
        supervisor.worker("uaa maintenance", move |token| {
            let uaa = uaa.clone();
            async move {
                loop {
                    uaa.maintain().await?;
                    tokio::select! {
                        () = token.cancelled() => return Ok::<_, KeyError>(()),
                        () = tokio::time::sleep(MAINTENANCE_INTERVAL) => {}
                    }
                }
            }
        });
    }

    /// Deletes expired rows, replaces a key at the end of its lifetime, deletes unneeded ones.
    pub(crate) async fn maintain(&self) -> Result<(), KeyError> {
        let now = self.now();
        self.db()
            .write_without_wake(move |tx| {
                tokens::prune(tx, now)?;
                sessions::prune(tx, now)
            })
            .await?;
        self.keys().maintain(self.db(), self.vault(), now).await
    }

    /// Every endpoint of UAA.
    pub fn router(&self) -> Router {
        metadata_routes()
            .merge(oauth::routes())
            .merge(clients::routes())
            .merge(scim::routes())
            .merge(groups::routes())
            .merge(pages::routes())
            .method_not_allowed_fallback(async || UaaError::method_not_allowed())
            .with_state(self.clone())
    }

    /// The claims of an access token, if it is valid. Takes the token or a whole `bearer …` header;
    /// needs no IO.
    pub fn verify(&self, bearer: &str) -> Result<Claims, TokenError> {
        let token = bearer_token(bearer).unwrap_or_else(|| bearer.trim());
        self.verify_payload(token).map(|(claims, _)| claims)
    }

    /// Whether a token has one of `scopes` and its user is still in the group of that name. For
    /// what outlives a request by far: a token keeps its scopes until it expires.
    pub async fn still_has(
        &self,
        claims: &Claims,
        scopes: &'static [&'static str],
    ) -> Result<bool, DbError> {
        let held = scopes.iter().filter(|scope| claims.has_scope(scope));
        let held: Vec<&str> = held.copied().collect();
        let Some(user) = claims.user.clone() else {
            return Ok(!held.is_empty());
        };
        if held.is_empty() {
            return Ok(false);
        }
        let groups = self.db().read(move |tx| groups::groups_of(tx, &user));
        Ok(groups.await?.contains_any(&held))
    }

    pub(crate) fn verify_payload(
        &self,
        token: &str,
    ) -> Result<(Claims, Map<String, Value>), TokenError> {
        let payload = self.0.keys.open_token(token)?;
        // Refresh and identity tokens lack required claims.
        let claims = serde_json::from_value(Value::Object(payload.clone()));
        let claims: Claims = claims.map_err(|_| TokenError::Unknown)?;
        if claims.expires_at <= self.now().as_seconds() {
            return Err(TokenError::Expired);
        }
        self.0.revocations.check(&claims)?;
        Ok((claims, payload))
    }

    /// Ensures that the administrator exists and is in all its groups. Its password becomes
    /// `password`, unless that was given before: then a later `cf passwd` stays in effect.
    pub async fn ensure_admin(&self, password: &Secret<String>) -> Result<AdminChange, UaaError> {
        admin::ensure(self, password).await
    }

    /// Creates a user; one without a password cannot log in here.
    pub async fn create_user(
        &self,
        new: NewUser,
        password: Option<Secret<String>>,
    ) -> Result<User, UaaError> {
        let hashed = match password {
            Some(password) => Some(self.passwords().hash(Source::PLATFORM, password).await?),
            None => None,
        };
        let (guid, now) = (UserGuid::generate(self.guids()), self.now());
        let created = self
            .db()
            .write(move |tx| accounts::create(tx, guid, new, hashed.as_ref(), now));
        created.await
    }

    /// What a user's token for the cf CLI would say; `None` if name or password is wrong. Wrong
    /// passwords are answered with increasing delays.
    pub async fn claims_of(
        &self,
        user_name: &str,
        password: Secret<String>,
    ) -> Result<Option<Claims>, UaaError> {
        let identity = Identity {
            user_name,
            origin: ORIGIN_UAA,
        };
        let proven = logins::authenticate(self, Source::PLATFORM, identity, password).await?;
        let client = self
            .db()
            .read(|tx| clients::find_client(tx, CLI_CLIENT))
            .await?;
        let (Some(user), Some(client)) = (proven, client) else {
            return Ok(None);
        };
        let scopes = oauth::grants::granted(self, &client, &user.guid, None).await?;
        let now = self.now();
        let grant = UserGrant {
            user,
            client,
            scopes,
            grant_type: "password".to_owned(),
            authenticated_at: now,
            nonce: None,
        };
        let issuer = self.issuer("");
        let id = oauth::issue::new_id(self);
        let claims = oauth::issue::user_claims(id, &grant, &Stamp { issuer, now });
        Ok(Some(claims))
    }

    /// Redeems a one-time code of `cf ssh`: the claims of its user, or `None` for an invalid code.
    /// A code is valid once. Wrong ones from one address are answered more and more slowly.
    pub async fn redeem_ssh_code(
        &self,
        code: &Secret<String>,
        from: IpAddr,
    ) -> Result<Option<Claims>, UaaError> {
        let found = self
            .db()
            .read(|tx| clients::find_client(tx, SSH_CLIENT))
            .await?;
        let Some(client) = found else {
            return Ok(None);
        };
        let subject = Subject::new("ssh-code", "");
        let attempt = logins::attempt(self, Source::at(from), subject).await?;
        let now = self.now();
        let taken = oauth::grants::take_code(self, &client, code, now).await?;
        // A code bound to a PKCE verifier has to be redeemed with it, over OAuth.
        let taken = taken.filter(|(code, _)| code.challenge.is_none());
        let taken = logins::answer(attempt, taken).await;
        Ok(taken.map(|(code, user)| {
            let grant = UserGrant {
                user,
                client,
                scopes: code.scopes,
                grant_type: "authorization_code".to_owned(),
                authenticated_at: code.authenticated_at,
                nonce: code.nonce,
            };
            let issuer = self.issuer("");
            oauth::issue::user_claims(oauth::issue::new_id(self), &grant, &Stamp { issuer, now })
        }))
    }

    /// The secret of one of the platform's own clients; empty for a public one.
    pub async fn client_secret(&self, client_id: &str) -> Result<Option<Secret<String>>, UaaError> {
        let asked = client_id.to_owned();
        let found = self
            .db()
            .read(move |tx| clients::find_client(tx, &asked))
            .await?;
        match found {
            Some(client) => Ok(Some(client.secret(self.vault())?)),
            None => Ok(None),
        }
    }

    /// Runs a write transaction that may add revocations.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, UaaError>
    where
        F: FnOnce(&WriteTx<'_>, &Revocations) -> Result<T, UaaError> + Send + 'static,
        T: Send + 'static,
    {
        let revocations = self.0.revocations.clone();
        self.db().write(move |tx| work(tx, &revocations)).await
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.parts.db
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.parts.vault
    }

    pub(crate) fn guids(&self) -> &GuidSource {
        &self.0.parts.guids
    }

    pub(crate) fn keys(&self) -> &Keyring {
        &self.0.keys
    }

    pub(crate) fn passwords(&self) -> &PasswordHasher {
        &self.0.passwords
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// When this process opened UAA.
    pub(crate) fn opened_at(&self) -> Timestamp {
        self.0.opened_at
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// `iss` of tokens asked for under `base`.
    pub(crate) fn issuer(&self, base: &str) -> String {
        let base = self.0.parts.issuer.as_deref().unwrap_or(base);
        format!("{base}/oauth/token")
    }
}
