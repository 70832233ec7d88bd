//! Buildpacks: types and SQL.

mod name;
mod store;

pub(crate) use name::*;
pub(crate) use store::*;
