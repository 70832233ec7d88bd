//! The platform in process, with Docker in memory: requests as the cf CLI makes them.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test that cannot go on fails"
)]

mod apps;
mod audit_events;
mod binary;
mod buildpacks;
mod capacity;
mod certificates;
mod characters;
mod cnb;
mod commands;
mod console;
mod damage;
mod data_services;
mod data_services_changes;
mod data_services_together;
mod deployments;
mod development;
mod dns;
mod domains;
mod droplets;
mod errors;
mod fuzz;
mod hostile;
mod isolation_segments;
mod leftovers;
mod lists;
mod log_drains;
mod log_streams;
mod logs;
mod manifests;
mod metrics;
mod network_policies;
mod numbers;
mod organizations;
mod packages;
mod packages_cache;
mod paths;
#[path = "../play/mod.rs"]
mod play;
mod processes;
mod quotas;
mod registry;
mod revisions;
mod roles;
mod root;
mod routes;
mod scopes;
mod security_groups;
mod seed;
mod services;
mod snapshots;
mod spaces;
mod ssh;
mod stacks;
mod staging;
mod support;
mod tasks;
mod tcp_routes;
mod transfer;
mod upgrades;
mod usage_events;
mod users;
mod workshop;
