//! The limits that organization quotas and space quotas share.

use rusqlite::Row;
use rusqlite::types::Value as SqlValue;
use serde_json::{Value, json};

/// Limits of apps, services and routes; `None` = unlimited.
#[derive(Debug, Clone)]
pub(crate) struct QuotaLimits {
    pub total_memory_in_mb: Option<i64>,
    pub per_process_memory_in_mb: Option<i64>,
    pub total_instances: Option<i64>,
    pub per_app_tasks: Option<i64>,
    pub log_rate_limit_in_bytes_per_second: Option<i64>,
    pub paid_services_allowed: bool,
    pub total_service_instances: Option<i64>,
    pub total_service_keys: Option<i64>,
    pub total_routes: Option<i64>,
    pub total_reserved_ports: Option<i64>,
}

/// The columns of [`QuotaLimits::from_row`], of a table named `q`.
pub(crate) const LIMIT_COLUMNS: &str = "q.total_memory_in_mb, q.per_process_memory_in_mb, q.total_instances, \
    q.per_app_tasks, q.log_rate_limit_in_bytes_per_second, q.paid_services_allowed, q.total_service_instances, \
    q.total_service_keys, q.total_routes, q.total_reserved_ports";

impl Default for QuotaLimits {
    fn default() -> Self {
        Self {
            total_memory_in_mb: None,
            per_process_memory_in_mb: None,
            total_instances: None,
            per_app_tasks: None,
            log_rate_limit_in_bytes_per_second: None,
            paid_services_allowed: true,
            total_service_instances: None,
            total_service_keys: None,
            total_routes: None,
            total_reserved_ports: None,
        }
    }
}

impl QuotaLimits {
    /// Reads [`LIMIT_COLUMNS`] from column `first` on.
    pub(crate) fn from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            total_memory_in_mb: row.get(first)?,
            per_process_memory_in_mb: row.get(first + 1)?,
            total_instances: row.get(first + 2)?,
            per_app_tasks: row.get(first + 3)?,
            log_rate_limit_in_bytes_per_second: row.get(first + 4)?,
            paid_services_allowed: row.get(first + 5)?,
            total_service_instances: row.get(first + 6)?,
            total_service_keys: row.get(first + 7)?,
            total_routes: row.get(first + 8)?,
            total_reserved_ports: row.get(first + 9)?,
        })
    }

    /// The values of [`LIMIT_COLUMNS`], in their order.
    pub(crate) fn to_sql(&self) -> [SqlValue; 10] {
        let limit = |limit: Option<i64>| limit.map_or(SqlValue::Null, SqlValue::Integer);
        [
            limit(self.total_memory_in_mb),
            limit(self.per_process_memory_in_mb),
            limit(self.total_instances),
            limit(self.per_app_tasks),
            limit(self.log_rate_limit_in_bytes_per_second),
            SqlValue::Integer(i64::from(self.paid_services_allowed)),
            limit(self.total_service_instances),
            limit(self.total_service_keys),
            limit(self.total_routes),
            limit(self.total_reserved_ports),
        ]
    }

    /// `apps`.
    pub(crate) fn present_apps(&self) -> Value {
        json!({
            "total_memory_in_mb": self.total_memory_in_mb,
            "per_process_memory_in_mb": self.per_process_memory_in_mb,
            "total_instances": self.total_instances,
            "per_app_tasks": self.per_app_tasks,
            "log_rate_limit_in_bytes_per_second": self.log_rate_limit_in_bytes_per_second,
        })
    }

    /// `services`.
    pub(crate) fn present_services(&self) -> Value {
        json!({
            "paid_services_allowed": self.paid_services_allowed,
            "total_service_instances": self.total_service_instances,
            "total_service_keys": self.total_service_keys,
        })
    }

    /// `routes`.
    pub(crate) fn present_routes(&self) -> Value {
        json!({
            "total_routes": self.total_routes,
            "total_reserved_ports": self.total_reserved_ports,
        })
    }
}
