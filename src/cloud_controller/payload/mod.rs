//! Requests: bodies and queries, read and validated without the database, one module per resource.
//! Cloud Controller calls them messages.

pub(crate) mod apps;
pub(crate) mod buildpacks;
pub(crate) mod builds;
pub(crate) mod deployments;
pub(crate) mod destinations;
pub(crate) mod domains;
pub(crate) mod droplets;
pub(crate) mod environment_variable_groups;
pub(crate) mod isolation_segments;
pub(crate) mod manifests;
pub(crate) mod network_policies;
pub(crate) mod organization_quotas;
pub(crate) mod organizations;
pub(crate) mod packages;
pub(crate) mod processes;
pub(crate) mod quotas;
pub(crate) mod resource_matches;
pub(crate) mod revisions;
pub(crate) mod roles;
pub(crate) mod route_options;
pub(crate) mod routes;
pub(crate) mod security_group_rules;
pub(crate) mod security_groups;
pub(crate) mod service_bindings;
pub(crate) mod service_brokers;
pub(crate) mod service_fields;
pub(crate) mod service_instances;
pub(crate) mod service_offerings;
pub(crate) mod sidecars;
pub(crate) mod space_quotas;
pub(crate) mod spaces;
pub(crate) mod stacks;
pub(crate) mod tasks;
pub(crate) mod users;
