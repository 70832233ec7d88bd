//! Users as Cloud Controller shows them: UAA's users seen from the API. Clients with roles show
//! without a name.
//!
//! A user is known here from an entry on: made by an administrator, with a first role, or when
//! they look at users themselves. Names and origins are UAA's. Members of an organization see each
//! other.

mod handlers;
pub(super) mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::state::CloudController;

/// `/v3/users`, and the members of organizations and spaces.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/users", get(handlers::list).post(handlers::create))
        .route(
            "/v3/users/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/organizations/{guid}/users",
            get(handlers::list_of_organization),
        )
        .route("/v3/spaces/{guid}/users", get(handlers::list_of_space))
}
