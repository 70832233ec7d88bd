//! Service instances: the type, their SQL, and the spaces they are shared with.

mod instance;
mod shares;
mod store;

pub(crate) use instance::*;
pub(crate) use shares::*;
pub(crate) use store::*;
