//! Whether what is started fits the quotas of its organization and space.
//!
//! Checked after a change within its transaction: what does not fit is rolled back.

use super::store;
use crate::cloud_controller::apps::{App, AppState};
use crate::cloud_controller::quota_limits::QuotaLimits;
use crate::cloud_controller::v3::{ApiResult, Invalid};
use crate::db::ReadTx;

/// What started processes and running tasks use.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    pub memory: i64,
    pub instances: i64,
    pub log_rate: i64,
    /// Largest memory of a process of the app in question.
    pub largest_process: i64,
    /// Whether a process of the app in question logs without limit.
    pub unlimited_logs: bool,
}

/// Who a quota belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Space,
    Organization,
}

/// 422 when the started apps around this one exceed a quota.
pub(crate) fn check_started(tx: &ReadTx<'_>, app: &App) -> ApiResult<()> {
    if app.state == AppState::Stopped {
        return Ok(());
    }
    let mut invalid = Invalid::default();
    for owner in [Owner::Space, Owner::Organization] {
        if let Some((name, limits)) = store::quota(tx, owner, &app.space_guid)?
            && any(&limits)
        {
            let usage = store::usage(tx, owner, app)?;
            for fault in faults(owner, &name, &limits, &usage) {
                invalid.add(fault);
            }
        }
    }
    invalid.refuse()
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

/// What is exceeded, in CC's words; `name` is that of the space or organization.
fn faults(owner: Owner, name: &str, limits: &QuotaLimits, usage: &Usage) -> Vec<String> {
    let exceeded = |limit: Option<i64>, used: i64| limit.is_some_and(|limit| used > limit);
    let (prefix, long) = match owner {
        Owner::Space => ("space_", "space"),
        Owner::Organization => ("", "organization"),
    };
    let log_rate = limits.log_rate_limit_in_bytes_per_second;
    let mut faults = Vec::new();
    if exceeded(limits.total_memory_in_mb, usage.memory) {
        faults.push(format!("memory {prefix}quota_exceeded"));
    }
    if exceeded(limits.per_process_memory_in_mb, usage.largest_process) {
        faults.push(format!("memory {prefix}instance_memory_limit_exceeded"));
    }
    if exceeded(limits.total_instances, usage.instances) {
        faults.push(format!(
            "app_instance_limit {prefix}app_instance_limit_exceeded"
        ));
    }
    if log_rate.is_some() && usage.unlimited_logs {
        faults.push(format!(
            "log_rate_limit cannot be unlimited in {long} '{name}'."
        ));
    }
    if exceeded(log_rate, usage.log_rate) {
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
            per_app_tasks: None,
            paid_services_allowed: true,
            total_service_instances: None,
            total_service_keys: None,
            total_routes: None,
            total_reserved_ports: None,
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
