//! What organization quotas and space quotas share: their limits, how bodies change them, and the
//! checks against them.
//!
//! Every check runs inside the transaction of the change it is about, so two requests cannot both
//! take the last of something. What is used is summed from the tables each time; nothing counts
//! along that could drift.

mod check;
mod limits;
mod payload;
mod store;
mod task;

pub(crate) use check::{check_staging, check_started, refuse_unlimited_logs};
pub(crate) use limits::{LIMIT_COLUMNS, QuotaLimits};
pub(crate) use payload::{LimitsChange, limits, name, total_domains};
pub(crate) use store::{Owner, names_with_unlimited_logs};
pub(crate) use task::{TaskNeeds, task_faults};

use super::v3::{ApiError, ApiResult, is_unique_violation};

/// 422 when a quota of this name is there already: the loser of a race.
pub(crate) fn name_taken(
    done: rusqlite::Result<usize>,
    (kind, name): (&str, &str),
) -> ApiResult<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(ApiError::unprocessable(format!(
            "{kind} '{name}' already exists."
        ))),
        Err(error) => Err(error.into()),
    }
}
