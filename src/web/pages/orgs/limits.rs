//! Quotas beside what is used of them.

use serde::Deserialize;

use crate::web::fmt;

/// A quota of an organization or a space; `None` = no limit.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Quota {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    pub(in crate::web) apps: Apps,
    pub(in crate::web) services: Services,
    pub(in crate::web) routes: Routes,
    #[serde(default)]
    pub(in crate::web) domains: Domains,
    #[serde(default)]
    pub(in crate::web) relationships: OfQuota,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct OfQuota {
    #[serde(default)]
    pub(in crate::web) organization: crate::web::api::models::ToOne,
    #[serde(default)]
    pub(in crate::web) organizations: Members,
    #[serde(default)]
    pub(in crate::web) spaces: Members,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Members {
    #[serde(default)]
    pub(in crate::web) data: Vec<crate::web::api::models::Reference>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Apps {
    pub(in crate::web) total_memory_in_mb: Option<u64>,
    pub(in crate::web) per_process_memory_in_mb: Option<u64>,
    pub(in crate::web) total_instances: Option<u64>,
    pub(in crate::web) per_app_tasks: Option<u64>,
    pub(in crate::web) log_rate_limit_in_bytes_per_second: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Services {
    pub(in crate::web) paid_services_allowed: bool,
    pub(in crate::web) total_service_instances: Option<u64>,
    pub(in crate::web) total_service_keys: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Routes {
    pub(in crate::web) total_routes: Option<u64>,
    pub(in crate::web) total_reserved_ports: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Domains {
    #[serde(default)]
    pub(in crate::web) total_domains: Option<u64>,
}

/// `usage_summary`.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Summary {
    usage_summary: Usage,
}

#[derive(Debug, Clone, Deserialize)]
struct Usage {
    started_instances: u64,
    memory_in_mb: u64,
    routes: u64,
    service_instances: u64,
    reserved_ports: u64,
    domains: u64,
    per_app_tasks: u64,
    service_keys: u64,
}

/// One limit and what is used of it.
#[derive(Debug, PartialEq)]
pub(in crate::web) struct Bar {
    pub(in crate::web) label: &'static str,
    /// `256M of 10G`.
    pub(in crate::web) text: String,
    pub(in crate::web) used: u64,
    /// `None` = no limit.
    pub(in crate::web) limit: Option<u64>,
}

impl Bar {
    fn of(label: &'static str, used: u64, limit: Option<u64>, show: fn(u64) -> String) -> Self {
        Self {
            label,
            text: match limit {
                Some(limit) => format!("{} of {}", show(used), show(limit)),
                None => format!("{}, no limit", show(used)),
            },
            used,
            limit,
        }
    }

    /// `bad` when nothing more fits.
    pub(in crate::web) fn tone(&self) -> &'static str {
        match self.limit {
            Some(limit) if self.used >= limit => "bad",
            Some(limit) if self.used * 10 >= limit * 9 => "warn",
            _ => "",
        }
    }

    /// From where on the bar warns.
    pub(in crate::web) fn high(&self) -> u64 {
        self.limit.unwrap_or_default() * 9 / 10
    }
}

/// What is used, beside the limits of a quota if there is one.
pub(in crate::web) fn bars(summary: &Summary, quota: Option<&Quota>) -> Vec<Bar> {
    let usage = &summary.usage_summary;
    let plain = |number: u64| number.to_string();
    let of = |limit: fn(&Quota) -> Option<u64>| quota.and_then(limit);
    vec![
        Bar::of(
            "Memory of started apps",
            usage.memory_in_mb,
            of(|quota| quota.apps.total_memory_in_mb),
            fmt::megabytes,
        ),
        Bar::of(
            "Started instances",
            usage.started_instances,
            of(|quota| quota.apps.total_instances),
            plain,
        ),
        Bar::of(
            "Services",
            usage.service_instances,
            of(|quota| quota.services.total_service_instances),
            plain,
        ),
        Bar::of(
            "Service keys",
            usage.service_keys,
            of(|quota| quota.services.total_service_keys),
            plain,
        ),
        Bar::of(
            "Routes",
            usage.routes,
            of(|quota| quota.routes.total_routes),
            plain,
        ),
        Bar::of(
            "Ports of routes",
            usage.reserved_ports,
            of(|quota| quota.routes.total_reserved_ports),
            plain,
        ),
        Bar::of(
            "Domains",
            usage.domains,
            of(|quota| quota.domains.total_domains),
            plain,
        ),
        Bar::of(
            "Running tasks",
            usage.per_app_tasks,
            of(|quota| quota.apps.per_app_tasks),
            plain,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_warns_before_it_is_full() {
        let bar = |used, limit| Bar::of("Routes", used, limit, |number| number.to_string());
        assert_eq!(bar(8, Some(10)).tone(), "");
        assert_eq!(bar(9, Some(10)).tone(), "warn");
        assert_eq!(bar(10, Some(10)).tone(), "bad");
        assert_eq!(bar(0, Some(0)).tone(), "bad");
        assert_eq!(bar(9, None).tone(), "");
        assert_eq!(bar(9, None).text, "9, no limit");
        assert_eq!(bar(9, Some(10)).text, "9 of 10");
    }
}
