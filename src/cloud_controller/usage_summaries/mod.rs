//! Usage summaries: what runs and exists in a space, in an organization or on the whole platform,
//! counted as quotas count it.

mod store;

use serde_json::{Value, json};

pub(crate) use store::Scope;

use super::v3::{ApiError, ApiResult};
use crate::db::ReadTx;

/// `usage_summary` with these links.
pub(crate) fn present(tx: &ReadTx<'_>, scope: Scope<'_>, links: &Value) -> ApiResult<Value> {
    let usage = store::usage(tx, scope)?;
    Ok::<_, ApiError>(json!({
        "usage_summary": {
            "started_instances": usage.started_instances,
            "memory_in_mb": usage.memory_in_mb,
            "routes": usage.routes,
            "service_instances": usage.service_instances,
            "reserved_ports": usage.reserved_ports,
            "domains": usage.domains,
            "per_app_tasks": usage.tasks,
            "service_keys": usage.service_keys,
        },
        "links": links,
    }))
}
