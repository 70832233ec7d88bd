//! What organization quotas and space quotas share: their limits, how bodies change them, and the
//! checks against them.
//!
//! Every check runs inside the transaction of its change, so two concurrent requests cannot both
//! use the last of something. The usage is summed from the tables each time; there are no counters
//! that could drift.

mod check;
mod limits;
mod store;
mod task;

pub(crate) use check::*;
pub(crate) use limits::*;
pub(crate) use store::*;
pub(crate) use task::*;

use crate::cloud_controller::error::{Error, Result};
use crate::db::is_unique_violation;

/// 422 when a quota with this name exists already: the loser of a race.
pub(crate) fn name_taken(done: rusqlite::Result<usize>, kind: &str, name: &str) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(Error::unprocessable(format!(
            "{kind} '{name}' already exists."
        ))),
        Err(error) => Err(error.into()),
    }
}
