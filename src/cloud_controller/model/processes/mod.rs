//! Processes: types and SQL.

mod process;
mod store;

pub(crate) use process::*;
pub(crate) use store::*;
