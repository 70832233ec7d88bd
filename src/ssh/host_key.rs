//! The key by which clients know the server, kept in a file of the data dir.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey};

use crate::base::private_file;

/// The server's key.
#[derive(Clone)]
pub struct HostKey(PrivateKey);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// The file cannot be read or written.
    #[error("cannot use the SSH host key {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{path} holds no SSH host key: {reason}; remove it to get a new one, which clients have to trust anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl HostKey {
    /// The key in `path`; a new one is written there when the file is missing.
    pub fn open(path: &Path) -> Result<Self, HostKeyError> {
        let failed = |source| HostKeyError::File {
            path: path.to_owned(),
            source,
        };
        let damaged = |reason: &dyn fmt::Display| HostKeyError::Damaged {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        match std::fs::read(path) {
            Ok(text) => {
                let key = PrivateKey::from_openssh(&text).map_err(|error| damaged(&error))?;
                if key.algorithm() != Algorithm::Ed25519 {
                    return Err(damaged(&"it is not an Ed25519 key"));
                }
                Ok(Self(key))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate().map_err(|error| damaged(&error))?;
                let text = key.0.to_openssh(LineEnding::LF);
                let text = text.map_err(|error| damaged(&error))?;
                private_file::replace(path, text.as_bytes()).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn generate() -> Result<Self, russh::keys::ssh_key::Error> {
        PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map(Self)
    }

    /// SHA-256 of the public key, base64 without padding: what clients compare.
    pub fn fingerprint(&self) -> String {
        let text = self.0.fingerprint(HashAlg::Sha256).to_string();
        text.trim_start_matches("SHA256:").to_owned()
    }

    pub(super) fn private(&self) -> PrivateKey {
        self.0.clone()
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ssh-host-key");
        let first = HostKey::open(&path).unwrap();
        assert_eq!(first.fingerprint().len(), 43, "{}", first.fingerprint());
        assert_eq!(
            HostKey::open(&path).unwrap().fingerprint(),
            first.fingerprint()
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ssh-host-key");
        std::fs::write(&path, "no key").unwrap();
        let error = HostKey::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("ssh-host-key holds no SSH host key"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "no key");
    }
}
