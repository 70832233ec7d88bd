//! Issuing, inspecting and revoking tokens.
//!
//! Access tokens are JWTs that anybody can verify offline, so they live briefly; a revocation is
//! stored in [`revocations`] until the token would have expired. Refresh tokens are JWTs too (the
//! CLI reads their `jti` to sign out), but are valid only as long as their row exists. A refresh
//! token is reused until it expires: parallel `cf` commands share it.
//!
//! [`revocations`]: super::tokens::revocations

pub(crate) mod authorize;
#[cfg(test)]
mod code_tests;
pub(crate) mod consent;
pub(crate) mod endpoint;
pub(crate) mod grants;
pub(crate) mod inspect;
pub(crate) mod issue;
pub(crate) mod list;
#[cfg(test)]
mod list_tests;
pub(crate) mod persist;
#[cfg(test)]
mod revocation_tests;
pub(crate) mod revoke;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{delete, get, post};

use super::Uaa;

/// `/oauth/token`, `/oauth/authorize` and introspection.
pub(crate) fn routes() -> Router<Uaa> {
    Router::new()
        .route("/oauth/token", post(endpoint::token))
        .route(
            "/oauth/authorize",
            get(authorize::authorize).post(authorize::decide),
        )
        .route("/oauth/token/revoke/{token_id}", delete(revoke::revoke))
        .route(
            "/oauth/token/revoke/user/{guid}",
            get(revoke::of_user).delete(revoke::of_user),
        )
        .route(
            "/oauth/token/revoke/client/{client_id}",
            get(revoke::of_client).delete(revoke::of_client),
        )
        .route(
            "/oauth/token/revoke/user/{guid}/client/{client_id}",
            get(revoke::of_user_and_client).delete(revoke::of_user_and_client),
        )
        .route("/oauth/token/list", get(list::own))
        .route("/oauth/token/list/user/{guid}", get(list::of_user))
        .route("/oauth/token/list/client/{client_id}", get(list::of_client))
        .route("/check_token", post(inspect::check_token))
        .route("/introspect", post(inspect::introspect))
        .route("/userinfo", get(inspect::userinfo).post(inspect::userinfo))
}
