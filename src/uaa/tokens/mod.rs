//! Issued tokens and codes, and revocations. Only hashes of tokens and codes are stored.

pub(crate) mod revocations;
pub(crate) mod store;
