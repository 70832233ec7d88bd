//! Domains: types and SQL.

mod domain;
mod store;

pub(crate) use domain::*;
pub(crate) use store::*;
