//! The interfaces to the engines: what each of them reads from the Cloud Controller and reports to
//! it, one module per engine. Only this layer knows them.

mod api_lines;
mod development;
mod droplet_uploads;
pub(crate) mod leftovers;
pub(crate) mod log_access;
mod log_drains;
mod log_sources;
mod marketplace;
pub(crate) mod names;
mod network;
mod registry_access;
mod registry_apps;
mod rollouts;
pub(crate) mod router;
pub(crate) mod scheduler;
mod ssh;
mod staging;
mod tasks;

pub(crate) use api_lines::*;
pub(crate) use development::*;
pub(crate) use droplet_uploads::*;
pub(crate) use log_drains::*;
pub(crate) use log_sources::*;
pub(crate) use marketplace::*;
pub(crate) use network::*;
pub(crate) use registry_access::*;
pub(crate) use registry_apps::*;
pub(crate) use rollouts::*;
pub(crate) use ssh::*;
pub(crate) use staging::*;
pub(crate) use tasks::*;
