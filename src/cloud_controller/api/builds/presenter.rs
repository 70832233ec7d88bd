//! JSON of a build.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model;
use crate::cloud_controller::model::builds::Build;
use crate::cloud_controller::model::builds::BuildState;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// `/v3/builds/:guid`.
pub(super) fn present(tx: &ReadTx<'_>, build: &Build, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Build, build.guid.as_str())?;
    Ok(present_with(build, &metadata, urls))
}

/// The same for metadata that is at hand.
pub(super) fn present_with(build: &Build, metadata: &Metadata, urls: &Urls) -> Value {
    let mut links = json!({
        "self": urls.link(&format!("/v3/builds/{}", build.guid)),
        "app": urls.link(&format!("/v3/apps/{}", build.app_guid)),
    });
    let droplet =
        (build.state == BuildState::Staged).then(|| json!({ "guid": build.droplet_guid }));
    if droplet.is_some() {
        links["droplet"] = urls.link(&format!("/v3/droplets/{}", build.droplet_guid));
    }
    let parts = [build.error_id.as_deref(), build.error.as_deref()];
    let error: Vec<&str> = parts.into_iter().flatten().collect();
    let data = if build.lifecycle_type == "docker" {
        json!({})
    } else {
        let shown: Vec<String> = build
            .buildpacks
            .iter()
            .map(|name| model::buildpacks::without_credentials(name))
            .collect();
        json!({ "buildpacks": shown, "stack": build.stack })
    };
    let [by_guid, by_name, by_email] = &build.created_by;
    json!({
        "guid": build.guid,
        "created_at": build.created_at,
        "updated_at": build.updated_at,
        "state": build.state,
        "staging_memory_in_mb": build.memory,
        "staging_disk_in_mb": build.disk,
        "staging_log_rate_limit_bytes_per_second": build.log_rate_limit,
        "error": (!error.is_empty()).then(|| error.join(" - ")),
        "lifecycle": { "type": build.lifecycle_type, "data": data },
        "package": { "guid": build.package_guid },
        "droplet": droplet,
        "created_by": { "guid": by_guid, "name": by_name, "email": by_email },
        "relationships": { "app": { "data": { "guid": build.app_guid } } },
        "metadata": metadata.present(),
        "links": links,
    })
}
