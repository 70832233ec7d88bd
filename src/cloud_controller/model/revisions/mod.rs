//! Revisions: types and SQL.

mod revision;
mod store;

pub(crate) use revision::*;
pub(crate) use store::*;
