//! Whether one more task fits the quotas of its organization and space.

use super::{Owner, quota, tasks, usage};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::apps::App;
use crate::db::ReadTx;

/// The resources of a task or a staging: MB, and bytes a second (-1 = unlimited).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    pub memory: i64,
    pub log_rate: i64,
}

/// The limits that the task would exceed, in CC's words.
pub(crate) fn task_faults(tx: &ReadTx<'_>, app: &App, needs: Needs) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for owner in [Owner::Organization, Owner::Space] {
        let Some((name, limits)) = quota(tx, owner, &app.space_guid)? else {
            continue;
        };
        let usage = usage(tx, owner, &app.space_guid, &app.guid)?;
        let whose = owner.as_str();
        let exceeded = |limit: Option<i64>, used: i64| limit.is_some_and(|limit| used > limit);
        if exceeded(
            limits.total_memory_in_mb,
            usage.memory.saturating_add(needs.memory),
        ) {
            faults.push(format!("memory_in_mb exceeds {whose} memory quota"));
        }
        if exceeded(limits.per_process_memory_in_mb, needs.memory) {
            faults.push(format!(
                "memory_in_mb exceeds {whose} instance memory quota"
            ));
        }
        let log_rate = limits.log_rate_limit_in_bytes_per_second;
        if log_rate.is_some() && needs.log_rate == -1 {
            faults.push(format!(
                "log_rate_limit cannot be unlimited in {whose} '{name}'."
            ));
        }
        if exceeded(log_rate, usage.log_rate.saturating_add(needs.log_rate)) {
            faults.push(format!("log_rate_limit exceeds {whose} log rate quota"));
        }
        if let Some(limit) = limits.per_app_tasks
            && tasks(tx, owner, &app.space_guid)? >= limit
        {
            faults.push("app_task_limit quota exceeded".to_owned());
        }
    }
    Ok(faults)
}
