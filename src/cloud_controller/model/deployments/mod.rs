//! Deployments: types and SQL.

mod deployment;
mod store;

pub(crate) use deployment::*;
pub(crate) use store::*;
