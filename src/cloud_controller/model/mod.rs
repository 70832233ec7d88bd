//! The stored state: the types of each resource and all SQL about them, one module per resource.
//!
//! Nothing here contains rules but the limits of quotas: they are in [`super::actions`], access is in [`super::access`].

pub(crate) mod app_usage_events;
pub(crate) mod apps;
pub(crate) mod audit_events;
pub(crate) mod buildpacks;
pub(crate) mod builds;
pub(crate) mod deployments;
pub(crate) mod desired;
pub(crate) mod destinations;
pub(crate) mod domains;
pub(crate) mod droplets;
pub(crate) mod environment_variable_groups;
pub(crate) mod feature_flags;
pub(crate) mod isolation_segments;
pub(crate) mod jobs;
pub(crate) mod leftovers;
pub(crate) mod log_access;
pub(crate) mod organization_quotas;
pub(crate) mod organizations;
pub(crate) mod packages;
pub(crate) mod processes;
pub(crate) mod quotas;
pub(crate) mod repositories;
pub(crate) mod revisions;
pub(crate) mod roles;
pub(crate) mod route_table;
pub(crate) mod routes;
pub(crate) mod security_groups;
pub(crate) mod seed;
pub(crate) mod service_usage_events;
pub(crate) mod sidecars;
pub(crate) mod space_quotas;
pub(crate) mod spaces;
pub(crate) mod stacks;
pub(crate) mod states;
pub(crate) mod tasks;
pub(crate) mod usage_summaries;
pub(crate) mod users;
