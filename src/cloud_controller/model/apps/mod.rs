//! Apps: types and SQL.

mod app;
mod store;

pub(crate) use app::*;
pub(crate) use store::*;
