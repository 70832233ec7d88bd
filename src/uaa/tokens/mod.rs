//! Tokens: how they are obtained, looked into and ended.
//!
//! Access tokens are JWTs that anybody can verify without asking, so they live briefly; what ends
//! one early is kept in [`revocations`] until it would have expired. Refresh tokens are JWTs too
//! (the CLI reads their `jti` to sign out), but count only as long as their row exists, and the
//! same one serves until it expires: parallel `cf` commands share it. Nothing here stores a token
//! or a code itself, only its hash.

pub(crate) mod authorize;
#[cfg(test)]
mod code_tests;
pub(crate) mod endpoint;
pub(crate) mod grants;
pub(crate) mod inspect;
pub(crate) mod issue;
pub(crate) mod lifetime;
pub(crate) mod revocations;
pub(crate) mod revoke;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

/// How a token or code is found again without being kept.
pub(crate) fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
