//! Encryption of secrets at rest: environment variables, registry passwords, credentials.
//!
//! XChaCha20-Poly1305 with a random nonce in front of each value and a key that lives in a file of
//! mode 0600 beside the database, so that a copied database alone gives nothing away.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

const NONCE: usize = 24;

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
    /// The value was written with another key or was changed.
    #[error("a stored secret cannot be decrypted: the key file does not belong to this database")]
    Undecipherable,
}

/// Encrypts and decrypts; cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<XChaCha20Poly1305>);

impl Vault {
    /// Reads the key file, or makes it when there is none.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let fault = |reason: String| VaultError::KeyFile {
            path: path.display().to_string(),
            reason,
        };
        let key = match std::fs::read(path) {
            Ok(key) => key,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key: [u8; 32] = rand::random();
                let mut options = std::fs::OpenOptions::new();
                let mut file = options
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(|e| fault(e.to_string()))?;
                file.write_all(&key)
                    .and_then(|()| file.sync_all())
                    .map_err(|e| fault(e.to_string()))?;
                key.to_vec()
            }
            Err(error) => return Err(fault(error.to_string())),
        };
        let key: [u8; 32] = key
            .try_into()
            .map_err(|_| fault("must hold exactly 32 bytes".to_owned()))?;
        Ok(Self(Arc::new(XChaCha20Poly1305::new(&Key::from(key)))))
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

    /// What was given to [`Vault::encrypt`].
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_a_changed_one_does_not() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let vault = Vault::open(&dir.path().join("key")).expect("new key");
        let sealed = vault.encrypt(b"geheim").expect("encrypt");
        assert_ne!(sealed, vault.encrypt(b"geheim").expect("encrypt"));
        let again = Vault::open(&dir.path().join("key")).expect("same key");
        assert_eq!(again.decrypt(&sealed).expect("decrypt"), b"geheim");
        let mut broken = sealed;
        broken[30] ^= 1;
        assert!(matches!(
            again.decrypt(&broken),
            Err(VaultError::Undecipherable)
        ));
    }
}
