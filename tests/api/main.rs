//! The platform in process, with Docker in memory: requests as the cf CLI makes them.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test that cannot go on fails"
)]

mod app_permissions;
mod apps;
mod audit_events;
mod authorisation;
mod buildpacks;
mod commands;
mod domains;
mod droplets;
mod errors;
mod fuzz;
mod isolation_segments;
mod lists;
mod logs;
mod manifests;
mod organization_permissions;
mod organizations;
mod packages;
mod permissions;
mod processes;
mod quotas;
mod revisions;
mod roles;
mod routes;
mod security_groups;
mod spaces;
mod stacks;
mod tasks_and_deployments;
mod usage_events;
mod users;
