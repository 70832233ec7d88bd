//! What organization quotas and space quotas share: their limits, how bodies change them, and the
//! checks against them.
//!
//! Every check runs inside the transaction of the change it is about, so two requests cannot both
//! take the last of something. What is used is summed from the tables each time; nothing counts
//! along that could drift.

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

/// 422 when a quota of this name is there already: the loser of a race.
pub(crate) fn name_taken(done: rusqlite::Result<usize>, (kind, name): (&str, &str)) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(Error::unprocessable(format!(
            "{kind} '{name}' already exists."
        ))),
        Err(error) => Err(error.into()),
    }
}
