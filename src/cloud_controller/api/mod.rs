//! The endpoints of the v3 API, a folder a resource: `mod.rs` lists its routes, `handlers.rs` extracts,
//! runs one transaction and presents, `presenter.rs` makes the JSON.

pub(crate) mod app_usage_events;
pub(crate) mod apps;
pub(crate) mod audit_events;
pub(crate) mod buildpacks;
pub(crate) mod builds;
pub(crate) mod deployments;
pub(crate) mod destinations;
pub(crate) mod development_sessions;
pub(crate) mod domains;
pub(crate) mod droplets;
pub(crate) mod environment_variable_groups;
pub(crate) mod feature_flags;
pub(crate) mod isolation_segments;
pub(crate) mod jobs;
pub(crate) mod manifests;
pub(crate) mod network_policies;
pub(crate) mod organization_quotas;
pub(crate) mod organizations;
pub(crate) mod packages;
pub(crate) mod processes;
pub(crate) mod resource_matches;
pub(crate) mod revisions;
pub(crate) mod roles;
pub(crate) mod root;
pub(crate) mod router_groups;
pub(crate) mod routes;
pub(crate) mod security_groups;
pub(crate) mod service_brokers;
pub(crate) mod service_credential_bindings;
pub(crate) mod service_instances;
pub(crate) mod service_offerings;
pub(crate) mod service_plans;
pub(crate) mod service_route_bindings;
pub(crate) mod service_usage_events;
pub(crate) mod sidecars;
pub(crate) mod space_quotas;
pub(crate) mod spaces;
pub(crate) mod stacks;
pub(crate) mod tasks;
pub(crate) mod usage_summaries;
pub(crate) mod users;

use axum::Router;

use super::state::CloudController;

impl CloudController {
    /// The whole API as a router; other paths answer CC's 404.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(app_usage_events::routes())
            .merge(apps::routes())
            .merge(audit_events::routes())
            .merge(buildpacks::routes())
            .merge(builds::routes())
            .merge(deployments::routes())
            .merge(development_sessions::routes())
            .merge(domains::routes())
            .merge(droplets::routes())
            .merge(environment_variable_groups::routes())
            .merge(feature_flags::routes())
            .merge(isolation_segments::routes())
            .merge(jobs::routes())
            .merge(manifests::routes())
            .merge(network_policies::routes())
            .merge(organization_quotas::routes())
            .merge(organizations::routes())
            .merge(packages::routes())
            .merge(processes::routes())
            .merge(resource_matches::routes())
            .merge(revisions::routes())
            .merge(roles::routes())
            .merge(root::routes())
            .merge(router_groups::routes())
            .merge(routes::routes())
            .merge(security_groups::routes())
            .merge(service_brokers::routes())
            .merge(service_credential_bindings::routes())
            .merge(service_instances::routes())
            .merge(service_offerings::routes())
            .merge(service_plans::routes())
            .merge(service_route_bindings::routes())
            .merge(service_usage_events::routes())
            .merge(sidecars::routes())
            .merge(space_quotas::routes())
            .merge(spaces::routes())
            .merge(stacks::routes())
            .merge(tasks::routes())
            .merge(users::routes())
            .fallback(root::unknown_request)
            .method_not_allowed_fallback(root::unknown_request)
            .with_state(self.clone())
    }
}
