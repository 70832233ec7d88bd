//! The seams to the engines: what each of them asks of the Cloud Controller and tells it, a module
//! an engine. This is the only floor that knows them.

mod api_lines;
mod droplet_uploads;
pub(crate) mod leftovers;
pub(crate) mod log_access;
mod rollouts;
pub(crate) mod router;
pub(crate) mod scheduler;
mod staging;
mod tasks;

pub(crate) use api_lines::*;
pub(crate) use droplet_uploads::*;
pub(crate) use rollouts::*;
pub(crate) use staging::*;
pub(crate) use tasks::*;
