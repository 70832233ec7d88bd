//! Desired: types and SQL.

mod droplet;
mod snapshot;
mod store;

pub(crate) use droplet::*;
pub(crate) use snapshot::*;
pub(crate) use store::*;
