//! Access control: the platform itself has a token; others are asked of an [`Access`].
//!
//! Graphdriver daemons send credentials only after a 401 on `/v2/`, so the ping also requires
//! credentials. Without them every user of the machine and every container on the host's network
//! could read private images.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use rand::RngExt;
use sha2::{Digest as _, Sha256};

use crate::base::Secret;
use crate::db::{Db, Vault};

use super::name::RepositoryName;
use super::{RegistryError, store};

/// The user name for the token.
pub const USER: &str = "cflite";

const TOKEN_LENGTH: usize = 40;

/// The registry token of this platform, generated at the first use. It is alphanumeric: some Docker
/// clients mangle other characters.
pub async fn token(db: &Db, vault: &Vault) -> Result<Secret<String>, RegistryError> {
    let new = new_token();
    let sealed = hex::encode(vault.encrypt(new.as_bytes())?);
    let stored = db
        .write_without_wake(move |tx| {
            store::insert_token(tx, &sealed)?;
            store::token(tx)
        })
        .await?;
    let undecipherable = || RegistryError::Token(crate::db::VaultError::Undecipherable);
    let sealed = stored
        .and_then(|text| hex::decode(text).ok())
        .ok_or_else(undecipherable)?;
    let plain = vault.decrypt(&sealed)?;
    let text = String::from_utf8(plain).map_err(|_| undecipherable())?;
    Ok(Secret::new(text))
}

fn new_token() -> String {
    let mut random = rand::rng();
    let letters = rand::distr::Alphanumeric;
    (0..TOKEN_LENGTH)
        .map(|_| char::from(random.sample(letters)))
        .collect()
}

/// What a request does with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Reads its content.
    Pull,
    /// Adds content.
    Push,
    /// Removes content.
    Delete,
}

/// How a request identifies its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    Anonymous,
    /// `Authorization: Basic`
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret<String>,
    },
    /// `Authorization: Bearer`
    Bearer(Secret<String>),
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The caller must log in, or its credentials are not valid: status 401. The text says how.
    Unauthorized(String),
    /// The caller is known, but may not do this: status 403. The text says why.
    Forbidden(String),
    /// It could not be decided: status 500. The text goes to the log only.
    Failed(String),
}

/// Decides about callers who do not have the platform's own token.
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// Whether the caller may do this. Without a repository: whether it may log in.
    async fn authorize(
        &self,
        credentials: &Credentials,
        repository: Option<&RepositoryName>,
        action: Action,
    ) -> Result<(), Denied>;

    /// Whether the caller may see and change what the registry holds for everybody.
    async fn operate(&self, credentials: &Credentials) -> Result<(), Denied>;
}

/// Only the platform itself has access.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlatformOnly;

#[async_trait]
impl Access for PlatformOnly {
    async fn authorize(
        &self,
        _: &Credentials,
        _: Option<&RepositoryName>,
        _: Action,
    ) -> Result<(), Denied> {
        self.operate(&Credentials::Anonymous).await
    }

    async fn operate(&self, _: &Credentials) -> Result<(), Denied> {
        let text = "log in as cflite with the registry's token";
        Err(Denied::Unauthorized(text.to_owned()))
    }
}

impl Credentials {
    /// From the header `Authorization`; what cannot be read is no identity.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.split_once(' '));
        match given {
            Some((scheme, text)) if scheme.eq_ignore_ascii_case("basic") => {
                Self::basic(text.trim()).unwrap_or(Self::Anonymous)
            }
            Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => {
                Self::Bearer(Secret::new(text.trim().to_owned()))
            }
            _ => Self::Anonymous,
        }
    }

    fn basic(encoded: &str) -> Option<Self> {
        let decoded = STANDARD.decode(encoded).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self::Basic {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
        })
    }

    /// Whether this is the platform, which may do everything.
    pub(super) fn are_the_platforms(&self, token: &Secret<String>) -> bool {
        let Self::Basic { user, password } = self else {
            return false;
        };
        // Comparing digests takes constant time.
        user == USER && Sha256::digest(password.expose()) == Sha256::digest(token.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let value = value.parse().expect("header value");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn only_the_user_with_the_token_is_the_platform() {
        let token = Secret::new("s3cret".to_owned());
        let passes = |value: &str| Credentials::of(&headers(value)).are_the_platforms(&token);
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(passes(&basic("cflite:s3cret")));
        let lower = format!("basic {}", STANDARD.encode("cflite:s3cret"));
        assert!(passes(&lower));
        for bad in [
            "cflite:",
            "cflite:S3cret",
            "admin:s3cret",
            "s3cret",
            ":",
            "",
        ] {
            assert!(!passes(&basic(bad)), "{bad}");
        }
        for bad in ["Bearer s3cret", "Basic !", "Basic"] {
            assert!(!passes(bad), "{bad}");
        }
    }

    #[test]
    fn credentials_are_read_from_the_header() {
        let of = |value: &str| Credentials::of(&headers(value));
        let basic = Credentials::Basic {
            user: "a".to_owned(),
            password: Secret::new("b:c".to_owned()),
        };
        assert_eq!(of(&format!("Basic {}", STANDARD.encode("a:b:c"))), basic);
        let bearer = Credentials::Bearer(Secret::new("x.y".to_owned()));
        assert_eq!(of("bearer x.y"), bearer);
        for bad in ["Basic !", "Basic", "Digest x", ""] {
            assert_eq!(of(bad), Credentials::Anonymous, "{bad}");
        }
        assert_eq!(Credentials::of(&HeaderMap::new()), Credentials::Anonymous);
    }

    #[tokio::test]
    async fn the_token_is_generated_once_and_encrypted_at_rest() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("cflite.db");
        let vault = Vault::open(&dir.path().join("key"), &path).expect("vault");
        let db = Db::open(&path).expect("database");
        let first = token(&db, &vault).await.expect("token");
        assert_eq!(first.expose().len(), TOKEN_LENGTH);
        assert!(first.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        let again = token(&db, &vault).await.expect("token");
        assert_eq!(first.expose(), again.expose());
        let stored = db.read(store::token).await.expect("row").expect("row");
        assert!(!stored.contains(first.expose()));
    }
}
