//! Encryption of secrets at rest: environment variables, registry passwords, credentials.
//!
//! XChaCha20-Poly1305 with a random nonce before each value and a key in a file of mode 0600 beside
//! the database, so that a copy of the database alone reveals no secret.
//!
//! The key is created before the database. A key file that is missing or damaged is therefore
//! recreated while there is no database, and never afterwards: data encrypted with the lost key
//! cannot be recovered.

use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::base::private_file;

const NONCE: usize = 24;
const KEY: usize = 32;

/// Why a secret could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key file is unusable.
    #[error("key file {path}: {reason}")]
    KeyFile {
        /// Where it is.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The value was encrypted with another key or was changed.
    #[error("a stored secret cannot be decrypted: the key file does not belong to this database")]
    Undecipherable,
}

/// Encrypts and decrypts; cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<XChaCha20Poly1305>);

impl Vault {
    /// Reads the key file of `database`, or creates it when no data can depend on it yet.
    pub fn open(path: &Path, database: &Path) -> Result<Self, VaultError> {
        let fault = |reason: String| VaultError::KeyFile {
            path: path.display().to_string(),
            reason,
        };
        let found = match std::fs::read(path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(fault(error.to_string())),
        };
        let wrong = match found.map(<[u8; KEY]>::try_from) {
            Some(Ok(key)) => return Ok(Self::with(key)),
            Some(Err(found)) => Some(format!(
                "it holds {} bytes instead of {KEY}, so it was truncated or replaced",
                found.len()
            )),
            None => None,
        };
        if holds_data(database) {
            let wrong = wrong.unwrap_or_else(|| "it is missing".to_owned());
            return Err(fault(format!(
                "{wrong}. The secrets in {} cannot be read without the key: restore the file from a \
                 backup, or remove all data with `cflite reset`",
                database.display()
            )));
        }
        if let Some(wrong) = wrong {
            tracing::warn!(path = %path.display(), "creating a new key, as no data depends on the old one: {wrong}");
        }
        let key: [u8; KEY] = rand::random();
        private_file::replace(path, &key).map_err(|error| fault(error.to_string()))?;
        Ok(Self::with(key))
    }

    fn with(key: [u8; KEY]) -> Self {
        Self(Arc::new(XChaCha20Poly1305::new(&Key::from(key))))
    }

    /// Nonce and ciphertext of `plain`.
    pub fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE] = rand::random();
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), plain)
            .map_err(|_| VaultError::Undecipherable)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// The plain text of what [`Vault::encrypt`] returned.
    pub fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (nonce, sealed) = sealed
            .split_at_checked(NONCE)
            .ok_or(VaultError::Undecipherable)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| VaultError::Undecipherable)?;
        self.0
            .decrypt(&XNonce::from(nonce), sealed)
            .map_err(|_| VaultError::Undecipherable)
    }
}

/// Whether the database exists and is not empty.
pub fn holds_data(database: &Path) -> bool {
    // A file whose metadata cannot be read counts as data, to be safe.
    match std::fs::metadata(database) {
        Ok(metadata) => metadata.len() > 0,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_decrypted_and_a_changed_one_is_not() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (key, database) = (dir.path().join("key"), dir.path().join("db"));
        let vault = Vault::open(&key, &database).expect("new key");
        let sealed = vault.encrypt(b"geheim").expect("encrypt");
        assert_ne!(sealed, vault.encrypt(b"geheim").expect("encrypt"));
        let again = Vault::open(&key, &database).expect("same key");
        assert_eq!(again.decrypt(&sealed).expect("decrypt"), b"geheim");
        let mut broken = sealed;
        broken[30] ^= 1;
        assert!(matches!(
            again.decrypt(&broken),
            Err(VaultError::Undecipherable)
        ));
    }

    #[test]
    fn a_key_truncated_at_the_first_start_is_recreated() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (key, database) = (dir.path().join("key"), dir.path().join("db"));
        for torn in ["", "half a key"] {
            std::fs::write(&key, torn).expect("torn key");
            // Killed again after the database file was created and before anything was written.
            std::fs::write(&database, "").expect("empty database");
            let vault = Vault::open(&key, &database).expect("a new key");
            let sealed = vault.encrypt(b"geheim").expect("encrypt");
            let again = Vault::open(&key, &database).expect("same key");
            assert_eq!(again.decrypt(&sealed).expect("decrypt"), b"geheim");
        }
    }

    #[test]
    fn no_key_is_created_for_an_existing_database() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (key, database) = (dir.path().join("key"), dir.path().join("db"));
        std::fs::write(&database, "rows").expect("database");
        let missing = Vault::open(&key, &database).err().expect("refused");
        assert!(missing.to_string().contains("it is missing"), "{missing}");
        assert!(!key.exists(), "a wrong key would hide what is wrong");
        std::fs::write(&key, "").expect("torn key");
        let torn = Vault::open(&key, &database).err().expect("refused");
        let text = torn.to_string();
        assert!(text.contains("0 bytes instead of 32"), "{text}");
        assert!(text.contains("cflite reset"), "{text}");
        assert_eq!(std::fs::read(&key).expect("kept"), b"");
    }
}
