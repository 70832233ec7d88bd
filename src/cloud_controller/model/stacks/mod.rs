//! Stacks: types and SQL.

mod state;
mod store;

pub(crate) use state::*;
pub(crate) use store::*;
