//! SCIM: how administrators manage users (`cf create-user`, `cf delete-user`, `cf passwd`).
//!
//! Reading needs `scim.read`, writing `scim.write`; users may read themselves and change their own
//! password. Times and versions follow UAA: a change names the version it is based on in
//! `If-Match`, where `*` means any.

pub(crate) mod handlers;
pub(crate) mod password;
#[cfg(test)]
mod password_tests;
pub(crate) mod payload;
pub(crate) mod presenter;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{get, put};

use super::Uaa;

/// `/Users`.
pub(crate) fn routes() -> Router<Uaa> {
    Router::new()
        .route("/Users", get(handlers::list).post(handlers::create))
        .route(
            "/Users/{guid}",
            get(handlers::get)
                .put(handlers::replace)
                .patch(handlers::patch)
                .delete(handlers::delete),
        )
        .route("/Users/{guid}/password", put(password::change))
}
