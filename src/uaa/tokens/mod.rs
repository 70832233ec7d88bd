//! Issued tokens and codes, and revocations. Only hashes of tokens and codes are stored.

pub(crate) mod revocations;
mod store;

pub(crate) use store::{
    AccessToken, Code, RefreshToken, Tokens, TokensOf, delete_of_user, delete_refresh, find_access,
    find_refresh, find_refresh_by_id, insert_access, insert_code, insert_refresh, list_tokens,
    prune, take_code,
};
