//! JSON of a deployment.

use serde_json::{Value, json};

use crate::cloud_controller::metadata::Metadata;
use crate::cloud_controller::model::deployments::Deployment;
use crate::cloud_controller::v3::Urls;

/// `/v3/deployments/:guid`.
pub(super) fn present(deployment: &Deployment, metadata: &Metadata, urls: &Urls) -> Value {
    let path = format!("/v3/deployments/{}", deployment.guid);
    let mut links = json!({
        "self": urls.link(&path),
        "app": urls.link(&format!("/v3/apps/{}", deployment.app_guid)),
    });
    if deployment.is_cancelable() {
        links["cancel"] = urls.action(&format!("{path}/actions/cancel"), "POST");
    }
    if deployment.is_continuable() {
        links["continue"] = urls.action(&format!("{path}/actions/continue"), "POST");
    }
    let revision = deployment.revision_guid.as_ref();
    let new = deployment.process_guid.iter();
    let new_processes: Vec<Value> = new
        .map(|guid| json!({ "guid": guid, "type": "web" }))
        .collect();
    json!({
        "guid": deployment.guid,
        "created_at": deployment.created_at,
        "updated_at": deployment.updated_at,
        "status": status(deployment),
        "strategy": deployment.strategy,
        "options": deployment.options,
        "droplet": { "guid": deployment.droplet_guid },
        "previous_droplet": { "guid": deployment.previous_droplet_guid },
        "new_processes": new_processes,
        "revision": revision.map(|guid| json!({ "guid": guid, "version": deployment.revision_version })),
        "relationships": { "app": { "data": { "guid": deployment.app_guid } } },
        "metadata": metadata.present(),
        "links": links,
    })
}

fn status(deployment: &Deployment) -> Value {
    let mut status = json!({
        "value": deployment.status_value,
        "reason": deployment.status_reason,
        "details": {
            "last_successful_healthcheck": deployment.last_healthy_at,
            "last_status_change": deployment.status_updated_at,
        },
    });
    if let Some(error) = &deployment.error {
        status["details"]["error"] = json!(error);
    }
    if deployment.strategy == "canary" {
        status["canary"] = json!({
            "steps": {
                "current": deployment.canary_current_step,
                "total": deployment.canary_steps(),
            },
        });
    }
    status
}
