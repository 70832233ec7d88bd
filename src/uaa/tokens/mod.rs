//! What was issued: rows of tokens and codes, and what ended before its time. Nothing here keeps a
//! token or a code itself, only its hash.

pub(crate) mod revocations;
pub(crate) mod store;
