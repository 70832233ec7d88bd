//! Usage summaries: what runs and exists in a space, in an organization or on the whole platform,
//! counted as quotas count it.

use serde_json::{Value, json};

use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::usage_summaries::Scope;

use crate::db::ReadTx;

/// `usage_summary` with these links.
pub(crate) fn present(tx: &ReadTx<'_>, scope: Scope<'_>, links: &Value) -> Result<Value> {
    let usage = model::usage_summaries::usage(tx, scope)?;
    Ok::<_, Error>(json!({
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
