//! The RSA keys that sign tokens: created at first boot, stored encrypted, published as a JWKS.
//!
//! The newest key signs. A new one is created after [`LIFETIME`] or when an administrator asks; the
//! older ones verify until the last token they can have signed has expired, and are then deleted.
//!
//! Generating a key takes most of a second and signing a few milliseconds, so both happen on
//! blocking threads; verifying is cheap enough for a request's own thread.

pub(crate) mod handlers;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::claims::TokenError;
use crate::base::{Clock, Secret, Timestamp};
use crate::db::{Db, DbError, Vault, VaultError};
use store::Stored;
#[cfg(test)]
pub(crate) use store::insert as insert_key;

crate::guid_types! {
    /// A key's `kid`.
    KeyId,
}

const BITS: usize = 2048;

/// No token of ours comes near this size; longer ones are not decoded.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key pair could not be generated or parsed.
    #[error("token signing key: {0}")]
    Unusable(String),
    /// The key pair could not be decrypted.
    #[error("token signing key: {0}")]
    Vault(#[from] VaultError),
    /// The key pair could not be loaded or stored.
    #[error("token signing key: {0}")]
    Db(#[from] DbError),
}

fn unusable(cause: impl std::fmt::Display) -> KeyError {
    KeyError::Unusable(cause.to_string())
}

/// One key pair, ready to use.
struct Key {
    id: KeyId,
    signing: EncodingKey,
    verifying: RsaPublicKeyComponents<Vec<u8>>,
    modulus: String,
    exponent: String,
    public_pem: String,
}

impl Key {
    fn read(id: KeyId, pem: &Secret<String>) -> Result<Self, KeyError> {
        let private = RsaPrivateKey::from_pkcs8_pem(pem.expose()).map_err(unusable)?;
        let public = RsaPublicKey::from(&private);
        let (n, e) = (public.n().to_bytes_be(), public.e().to_bytes_be());
        Ok(Self {
            id,
            signing: EncodingKey::from_rsa_pem(pem.expose().as_bytes()).map_err(unusable)?,
            modulus: URL_SAFE_NO_PAD.encode(&n),
            exponent: URL_SAFE_NO_PAD.encode(&e),
            verifying: RsaPublicKeyComponents { n, e },
            public_pem: public.to_public_key_pem(LineEnding::LF).map_err(unusable)?,
        })
    }

    /// The payload of a token, if this key signed it. ring needs a tenth of the time of
    /// jsonwebtoken's own arithmetic, and this runs for every request.
    fn payload(&self, token: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.verifying
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .ok()?;
        let (_header, payload) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    fn published(&self) -> Value {
        json!({
            "kty": "RSA",
            "e": self.exponent,
            "use": "sig",
            "kid": self.id,
            "alg": "RS256",
            "value": self.public_pem,
            "n": self.modulus,
        })
    }
}

/// How long a key signs.
pub(crate) const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// A key is deleted no sooner than this after it stopped signing.
const GRACE_PERIOD: Duration = Duration::from_secs(3600);

/// Requests that began before a key was replaced may sign with it for this long.
const SLACK: Duration = Duration::from_secs(60);

/// All keys of this platform; the last one signs. There is always one.
///
/// The copy in memory changes with the commits that add and delete keys
/// ([`WriteTx::after_commit`](crate::db::WriteTx::after_commit)): two concurrent changes, or a
/// request dropped half-way, cannot leave it out of date.
pub(crate) struct Keyring(Arc<ArcSwap<Keys>>);

struct Keys {
    current: Arc<Key>,
    /// When the current key was created.
    since: Timestamp,
    older: Vec<Arc<Key>>,
}

impl Keys {
    fn all(&self) -> impl Iterator<Item = &Arc<Key>> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// With a newer key, which signs from now on.
    fn with(&self, current: Arc<Key>, since: Timestamp) -> Self {
        let mut older = self.older.clone();
        older.push(self.current.clone());
        Self {
            current,
            since,
            older,
        }
    }

    /// Without keys that are no longer needed; the current one always stays.
    fn without(&self, gone: &[KeyId]) -> Self {
        let mut older = self.older.clone();
        older.retain(|key| !gone.contains(&key.id));
        Self {
            current: self.current.clone(),
            since: self.since,
            older,
        }
    }

    async fn read(stored: Vec<Stored>, vault: &Vault) -> Result<Self, KeyError> {
        let vault = vault.clone();
        let read = tokio::task::spawn_blocking(move || {
            let since = stored.last().map(|key| key.created_at);
            let mut keys = stored
                .into_iter()
                .map(|key| {
                    let pem = String::from_utf8(vault.decrypt(&key.sealed)?).map_err(unusable)?;
                    Key::read(key.id, &Secret::new(pem)).map(Arc::new)
                })
                .collect::<Result<Vec<_>, KeyError>>()?;
            match (keys.pop(), since) {
                (Some(current), Some(since)) => Ok(Self {
                    current,
                    since,
                    older: keys,
                }),
                _ => Err(unusable("no key found")),
            }
        });
        read.await.map_err(unusable)?
    }
}

/// A new key, and its encrypted form for the database.
async fn create_key(vault: &Vault) -> Result<(Arc<Key>, Vec<u8>), KeyError> {
    let vault = vault.clone();
    tokio::task::spawn_blocking(move || {
        let pem = generate()?;
        let key = Key::read(thumbprint(&pem), &pem)?;
        Ok((Arc::new(key), vault.encrypt(pem.expose().as_bytes())?))
    })
    .await
    .map_err(unusable)?
}

impl Keyring {
    /// Reads the keys, or creates the first one. Concurrent calls agree on one key.
    pub(crate) async fn open(db: &Db, vault: &Vault, clock: &dyn Clock) -> Result<Self, KeyError> {
        let mut stored = db.read(store::list).await?;
        if stored.is_empty() {
            let (key, sealed) = create_key(vault).await?;
            let now = clock.now();
            stored = db
                .write(move |tx| {
                    if store::list(tx)?.is_empty() {
                        store::insert(tx, &key.id, &sealed, now)?;
                    }
                    store::list(tx)
                })
                .await?;
        }
        let keys = Keys::read(stored, vault).await?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(keys))))
    }

    /// Creates a new key, which signs from now on.
    pub(crate) async fn rotate(
        &self,
        db: &Db,
        vault: &Vault,
        now: Timestamp,
    ) -> Result<(), KeyError> {
        let (key, sealed) = create_key(vault).await?;
        let ring = self.0.clone();
        db.write_without_wake(move |tx| {
            // Newer than all others, even if the clock went back.
            let after = store::newest(tx)?.map(|newest| newest.plus(Duration::from_micros(1)));
            let at = after.map_or(now, |after| after.max(now));
            store::insert(tx, &key.id, &sealed, at)?;
            tx.after_commit(move || {
                tracing::info!(key.id = %key.id, "tokens are signed with a new key");
                ring.rcu(|keys| keys.with(key.clone(), at));
            });
            Ok(())
        })
        .await
    }

    /// Replaces a key at the end of its lifetime, and deletes those no longer needed.
    pub(crate) async fn maintain(
        &self,
        db: &Db,
        vault: &Vault,
        now: Timestamp,
    ) -> Result<(), KeyError> {
        if now.since(self.0.load().since) >= LIFETIME {
            self.rotate(db, vault, now).await?;
        }
        let settled = Timestamp::from_micros(
            now.as_micros()
                .saturating_sub(i64::try_from(GRACE_PERIOD.as_micros()).unwrap_or(i64::MAX)),
        );
        let ring = self.0.clone();
        db.write_without_wake(move |tx| {
            let gone = store::delete_unused(tx, settled, SLACK, now)?;
            if !gone.is_empty() {
                tx.after_commit(move || {
                    ring.rcu(|keys| keys.without(&gone));
                });
            }
            Ok(())
        })
        .await
    }

    /// Signs `claims` as a JWT. Takes milliseconds: call it on a blocking thread.
    pub(crate) fn sign<T: Serialize>(&self, claims: &T) -> Result<String, KeyError> {
        let keys = self.0.load();
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(keys.current.id.to_string());
        jsonwebtoken::encode(&header, claims, &keys.current.signing).map_err(unusable)
    }

    /// The claims of a token that one of our keys signed. Does not check its expiry.
    pub(crate) fn open_token(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Unknown);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Unknown)?;
        let kid = header.kid.ok_or(TokenError::Unknown)?;
        if header.alg != Algorithm::RS256 {
            return Err(TokenError::Unknown);
        }
        let keys = self.0.load();
        let mut all = keys.all();
        let key = all
            .find(|key| key.id.as_str() == kid)
            .ok_or(TokenError::Unknown)?;
        key.payload(token).ok_or(TokenError::Unknown)
    }

    /// The key that signs now, as a JWK.
    pub(crate) fn published(&self) -> Value {
        self.0.load().current.published()
    }

    /// All keys, as a JWKS.
    pub(crate) fn published_all(&self) -> Value {
        let keys = self.0.load();
        json!({ "keys": keys.all().map(|key| key.published()).collect::<Vec<_>>() })
    }
}

/// A new private key as PKCS#8 PEM.
pub(crate) fn generate() -> Result<Secret<String>, KeyError> {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS).map_err(unusable)?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(unusable)?;
    Ok(Secret::new(pem.as_str().to_owned()))
}

/// A key id derived from the key's bytes alone.
pub(crate) fn thumbprint(pem: &Secret<String>) -> KeyId {
    let digest = Sha256::digest(pem.expose().as_bytes());
    KeyId::from(format!("key-{}", hex::encode(&digest[..8])))
}
