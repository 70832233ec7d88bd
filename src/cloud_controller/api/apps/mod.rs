//! Apps: a name in a space, how its packages become droplets, which droplet is current, and
//! whether it is wanted to run.
//!
//! - An app is STOPPED or STARTED. Starting writes down what every process runs with
//!   (`desired`); what is changed later acts with the next start or restart.
//! - The environment is encrypted at rest; only readers of secrets see it.
//! - Deleting one deletes all that belongs to it, in one transaction.

pub(super) mod handlers;
pub(super) mod presenter;
mod settings;

use axum::Router;
use axum::routing::{get, post};

use crate::cloud_controller::state::CloudController;

/// `/v3/apps`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/apps", get(handlers::list).post(handlers::create))
        .route(
            "/v3/apps/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route("/v3/apps/{guid}/actions/start", post(handlers::start))
        .route("/v3/apps/{guid}/actions/stop", post(handlers::stop))
        .route("/v3/apps/{guid}/actions/restart", post(handlers::restart))
        .route(
            "/v3/apps/{guid}/actions/clear_buildpack_cache",
            post(handlers::clear_buildpack_cache),
        )
        .route(
            "/v3/admin/actions/clear_buildpack_cache",
            post(handlers::clear_buildpack_caches),
        )
        .route("/v3/apps/{guid}/env", get(settings::show_env))
        .route(
            "/v3/apps/{guid}/environment_variables",
            get(settings::show_variables).patch(settings::update_variables),
        )
        .route("/v3/apps/{guid}/features", get(settings::list_features))
        .route(
            "/v3/apps/{guid}/features/{name}",
            get(settings::show_feature).patch(settings::update_feature),
        )
        .route(
            "/v3/apps/{guid}/permissions",
            get(handlers::show_permissions),
        )
        .route(
            "/v3/apps/{guid}/relationships/current_droplet",
            get(handlers::show_current_droplet).patch(handlers::assign_current_droplet),
        )
        .route("/v3/apps/{guid}/ssh_enabled", get(settings::ssh_enabled))
}
