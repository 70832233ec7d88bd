//! Routes: types and SQL.

mod route;
mod store;

pub(crate) use route::*;
pub(crate) use store::*;
