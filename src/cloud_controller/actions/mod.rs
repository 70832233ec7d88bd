//! The rules of one resource each: what may be done to it, and the audit events of doing it. Every
//! function runs inside its caller's transaction.

pub(crate) mod app_usage_events;
pub(crate) mod apps;
pub(crate) mod apps_lifecycle;
pub(crate) mod buildpack_choices;
pub(crate) mod buildpacks;
pub(crate) mod destinations;
pub(crate) mod domains;
pub(crate) mod droplets;
pub(crate) mod environment_variable_groups;
pub(crate) mod feature_flags;
pub(crate) mod isolation_segments;
pub(crate) mod jobs;
pub(crate) mod organization_quotas;
pub(crate) mod organizations;
pub(crate) mod packages;
pub(crate) mod processes;
pub(crate) mod repositories;
pub(crate) mod revisions;
pub(crate) mod roles;
pub(crate) mod routes;
pub(crate) mod routes_checks;
pub(crate) mod security_groups;
pub(crate) mod service_usage_events;
pub(crate) mod sidecars;
pub(crate) mod space_quotas;
pub(crate) mod spaces;
pub(crate) mod stacks;
pub(crate) mod users;
