//! Audit events: types and SQL.

mod recorder;
mod store;

pub(crate) use recorder::*;
pub(crate) use store::*;
