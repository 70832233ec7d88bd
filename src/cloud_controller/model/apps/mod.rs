//! Apps: types and SQL.

mod app;
mod credentials;
mod store;

pub(crate) use app::*;
pub(crate) use credentials::*;
pub(crate) use store::*;
