//! Destinations: types and SQL.

mod destination;
mod store;

pub(crate) use destination::*;
pub(crate) use store::*;
