//! Access control: readers need the platform's token.
//!
//! Graphdriver daemons send credentials only after a 401 on `/v2/`, so the ping also requires the
//! token. Without the token every user of the machine and every container on the host's network
//! could read private images.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use rand::RngExt;
use sha2::{Digest as _, Sha256};

use crate::base::Secret;
use crate::db::{Db, Vault};

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

/// Whether the request carries the token as Basic credentials.
pub(super) fn is_authorized(headers: &HeaderMap, token: &Secret<String>) -> bool {
    let Some(given) = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
    else {
        return false;
    };
    let wanted = format!("{USER}:{}", token.expose());
    // Comparing digests takes constant time.
    Sha256::digest(given) == Sha256::digest(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let value = value.parse().expect("header value");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn only_the_user_with_the_token_passes() {
        let token = Secret::new("s3cret".to_owned());
        let basic = |text: &str| headers(&format!("Basic {}", STANDARD.encode(text)));
        assert!(is_authorized(&basic("cflite:s3cret"), &token));
        let lower = format!("basic {}", STANDARD.encode("cflite:s3cret"));
        assert!(is_authorized(&headers(&lower), &token));
        for bad in [
            "cflite:",
            "cflite:S3cret",
            "admin:s3cret",
            "s3cret",
            ":",
            "",
        ] {
            assert!(!is_authorized(&basic(bad), &token), "{bad}");
        }
        assert!(!is_authorized(&headers("Bearer s3cret"), &token));
        assert!(!is_authorized(&headers("Basic !"), &token));
        assert!(!is_authorized(&headers("Basic"), &token));
        assert!(!is_authorized(&HeaderMap::new(), &token));
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
