//! Whether started processes fit the quotas of their organization and space.
//!
//! Checked after a change within its transaction: a change that does not fit is rolled back.

use super::{Needs, Owner, QuotaLimits, quota, usage};
use crate::cloud_controller::body::Invalid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::apps::{App, AppState};
use crate::db::ReadTx;

/// The usage of started processes, and of pending and running tasks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub memory: i64,
    pub instances: i64,
    pub log_rate: i64,
    /// Largest memory of a process of the app in question.
    pub largest_process: i64,
    /// Whether a process of the app in question logs without limit.
    pub unlimited_logs: bool,
}

/// 422 when the started apps around this one exceed a quota.
pub(crate) fn check_started(tx: &ReadTx<'_>, app: &App) -> Result<()> {
    if app.state == AppState::Stopped {
        return Ok(());
    }
    let mut invalid = Invalid::default();
    for owner in [Owner::Space, Owner::Organization] {
        if let Some((name, limits)) = quota(tx, owner, &app.space_guid)?
            && any(&limits)
        {
            let usage = usage(tx, owner, &app.space_guid, &app.guid)?;
            for fault in faults(owner, &name, &limits, &usage) {
                invalid.add(fault);
            }
        }
    }
    invalid.refuse()
}

/// 422 when staging does not fit in addition to what runs.
pub(crate) fn check_staging(tx: &ReadTx<'_>, app: &App, needs: Needs) -> Result<()> {
    let Needs { memory, log_rate } = needs;
    for owner in [Owner::Space, Owner::Organization] {
        let Some((_, limits)) = quota(tx, owner, &app.space_guid)? else {
            continue;
        };
        if !any(&limits) {
            continue;
        }
        let usage = usage(tx, owner, &app.space_guid, &app.guid)?;
        let whose = owner.as_str();
        if exceeds(limits.total_memory_in_mb, usage.memory + memory) {
            return Err(Error::unprocessable(format!(
                "{whose}'s memory limit exceeded: staging requires {memory}M memory"
            )));
        }
        let limit = limits.log_rate_limit_in_bytes_per_second;
        if exceeds(limit, usage.log_rate.saturating_add(log_rate)) {
            return Err(Error::unprocessable(format!(
                "{whose}'s log rate limit exceeded: staging requires {log_rate} bytes per second"
            )));
        }
    }
    Ok(())
}

/// 422 when a log rate limit is set for organizations or spaces (these names, which have the quota)
/// with processes that log without limit.
pub(crate) fn refuse_unlimited_logs(owner: Owner, names: &[String]) -> Result<()> {
    let kind = match owner {
        Owner::Space => "space",
        Owner::Organization => "org",
    };
    let which = match names {
        [] => return Ok(()),
        [one] => format!("{kind} '{one}' which contains"),
        [one, two] => format!("{kind}s '{one}', '{two}' which contain"),
        [one, two, rest @ ..] => format!(
            "{kind}s '{one}', '{two}' and {} other {kind}s which contain",
            rest.len()
        ),
    };
    Err(Error::unprocessable(format!(
        "Current usage exceeds new quota values. This quota is applied to {which} apps running with an \
         unlimited log rate limit."
    )))
}

fn exceeds(limit: Option<i64>, used: i64) -> bool {
    limit.is_some_and(|limit| used > limit)
}

fn any(limits: &QuotaLimits) -> bool {
    let all = [
        limits.total_memory_in_mb,
        limits.per_process_memory_in_mb,
        limits.total_instances,
        limits.log_rate_limit_in_bytes_per_second,
    ];
    all.iter().any(Option::is_some)
}

/// The exceeded limits, in CC's words; `name` is that of the space or organization.
fn faults(owner: Owner, name: &str, limits: &QuotaLimits, usage: &Usage) -> Vec<String> {
    let long = owner.as_str();
    let prefix = match owner {
        Owner::Space => "space_",
        Owner::Organization => "",
    };
    let log_rate = limits.log_rate_limit_in_bytes_per_second;
    let mut faults = Vec::new();
    if exceeds(limits.total_memory_in_mb, usage.memory) {
        faults.push(format!("memory {prefix}quota_exceeded"));
    }
    if exceeds(limits.per_process_memory_in_mb, usage.largest_process) {
        faults.push(format!("memory {prefix}instance_memory_limit_exceeded"));
    }
    if exceeds(limits.total_instances, usage.instances) {
        faults.push(format!(
            "app_instance_limit {prefix}app_instance_limit_exceeded"
        ));
    }
    if log_rate.is_some() && usage.unlimited_logs {
        faults.push(format!(
            "log_rate_limit cannot be unlimited in {long} '{name}'."
        ));
    }
    if exceeds(log_rate, usage.log_rate) {
        faults.push(format!("log_rate_limit exceeds {long} log rate quota"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(all: [Option<i64>; 4]) -> QuotaLimits {
        QuotaLimits {
            total_memory_in_mb: all[0],
            per_process_memory_in_mb: all[1],
            total_instances: all[2],
            log_rate_limit_in_bytes_per_second: all[3],
            ..QuotaLimits::default()
        }
    }

    #[test]
    fn who_logs_without_limit_is_named() {
        let name = |n: usize| {
            let names: Vec<String> = ["a", "b", "c", "d"][..n]
                .iter()
                .map(ToString::to_string)
                .collect();
            refuse_unlimited_logs(Owner::Organization, &names)
                .err()
                .map(|e| e.detail().to_owned())
        };
        assert_eq!(name(0), None);
        for (n, which) in [
            (1, "org 'a' which contains"),
            (2, "orgs 'a', 'b' which contain"),
            (4, "orgs 'a', 'b' and 2 other orgs which contain"),
        ] {
            let text = name(n).unwrap_or_default();
            assert!(text.contains(which), "{text}");
        }
    }

    #[test]
    fn what_is_exceeded_is_named() {
        let limited = limits([Some(1024), Some(512), Some(2), Some(100)]);
        let fits = Usage {
            memory: 1024,
            instances: 2,
            log_rate: 100,
            largest_process: 512,
            unlimited_logs: false,
        };
        assert_eq!(
            faults(Owner::Space, "dev", &limited, &fits),
            Vec::<String>::new()
        );
        let over = Usage {
            memory: 1025,
            instances: 3,
            log_rate: 101,
            largest_process: 513,
            unlimited_logs: true,
        };
        assert_eq!(
            faults(Owner::Space, "dev", &limited, &over),
            [
                "memory space_quota_exceeded",
                "memory space_instance_memory_limit_exceeded",
                "app_instance_limit space_app_instance_limit_exceeded",
                "log_rate_limit cannot be unlimited in space 'dev'.",
                "log_rate_limit exceeds space log rate quota",
            ]
        );
        assert_eq!(
            faults(Owner::Organization, "o", &limited, &over)[0],
            "memory quota_exceeded"
        );
        let unlimited = limits([None; 4]);
        assert_eq!(
            faults(Owner::Organization, "o", &unlimited, &over),
            Vec::<String>::new()
        );
    }
}
