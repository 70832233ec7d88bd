//! SHA-256 as text.

use sha2::{Digest, Sha256};

/// The SHA-256 of a text, in hex.
pub(super) fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
