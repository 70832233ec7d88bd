//! JSON of a revision.

use serde_json::{Map, Value, json};

use crate::cloud_controller::metadata::Metadata;
use crate::cloud_controller::model::apps::Variables;
use crate::cloud_controller::model::revisions::Revision;
use crate::cloud_controller::v3::Urls;

/// `/v3/revisions/:guid`.
pub(super) fn present(revision: &Revision, metadata: &Metadata, urls: &Urls) -> Value {
    let path = format!("/v3/revisions/{}", revision.guid);
    let processes: Map<String, Value> = revision
        .commands
        .iter()
        .map(|(kind, command)| (kind.clone(), json!({ "command": command })))
        .collect();
    let sidecars: Vec<Value> = revision
        .sidecars
        .iter()
        .map(|sidecar| {
            json!({
                "name": sidecar.name,
                "command": sidecar.command,
                "memory_in_mb": sidecar.memory_in_mb,
                "process_types": sidecar.process_types,
            })
        })
        .collect();
    json!({
        "guid": revision.guid,
        "version": revision.version,
        "droplet": { "guid": revision.droplet_guid },
        "processes": processes,
        "sidecars": sidecars,
        "description": revision.description,
        "relationships": { "app": { "data": { "guid": revision.app_guid } } },
        "created_at": revision.created_at,
        "updated_at": revision.updated_at,
        "links": {
            "self": urls.link(&path),
            "app": urls.link(&format!("/v3/apps/{}", revision.app_guid)),
            "environment_variables": urls.link(&format!("{path}/environment_variables")),
        },
        "metadata": metadata.present(),
        "deployable": revision.deployable,
    })
}

/// `/v3/revisions/:guid/environment_variables`.
pub(super) fn environment(revision: &Revision, variables: &Variables, urls: &Urls) -> Value {
    let path = format!("/v3/revisions/{}", revision.guid);
    json!({
        "var": variables,
        "links": {
            "self": urls.link(&format!("{path}/environment_variables")),
            "revision": urls.link(&path),
            "app": urls.link(&format!("/v3/apps/{}", revision.app_guid)),
        },
    })
}
