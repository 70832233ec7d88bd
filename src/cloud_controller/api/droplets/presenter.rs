//! JSON of a droplet.

use serde_json::{Map, Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model;
use crate::cloud_controller::model::droplets::Droplet;
use crate::cloud_controller::model::droplets::DropletState;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// Whether start commands are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Shown,
    Hidden,
    HiddenInLists,
}

impl Secrets {
    /// What stands in the place of what is not shown.
    fn censored(self) -> Option<&'static str> {
        match self {
            Self::Shown => None,
            Self::Hidden => Some("[PRIVATE DATA HIDDEN]"),
            Self::HiddenInLists => Some("[PRIVATE DATA HIDDEN IN LISTS]"),
        }
    }
}

/// `/v3/droplets/:guid`.
pub(super) fn present(
    tx: &ReadTx<'_>,
    droplet: &Droplet,
    secrets: Secrets,
    urls: &Urls,
) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Droplet, droplet.guid.as_str())?;
    Ok(present_with(droplet, &metadata, secrets, urls))
}

/// The same for metadata that is at hand.
pub(super) fn present_with(
    droplet: &Droplet,
    metadata: &Metadata,
    secrets: Secrets,
    urls: &Urls,
) -> Value {
    let checksum = droplet
        .layer
        .as_ref()
        .map(|digest| json!({ "type": "sha256", "value": digest.hex() }));
    let docker = droplet.lifecycle_type == "docker";
    let censored = secrets.censored();
    let process_types = censored.map_or_else(
        || droplet.process_types.clone(),
        |text| json!({ "redacted_message": text }),
    );
    json!({
        "guid": droplet.guid,
        "created_at": droplet.created_at,
        "updated_at": droplet.updated_at,
        "state": droplet.state,
        "error": droplet.error,
        "lifecycle": { "type": droplet.lifecycle_type, "data": {} },
        "checksum": checksum,
        "buildpacks": if docker { Value::Null } else { buildpacks_of(droplet) },
        "stack": droplet.stack,
        "image": droplet.docker_image,
        "execution_metadata": censored.unwrap_or(&droplet.execution_metadata),
        "process_types": process_types,
        "relationships": { "app": { "data": { "guid": droplet.app_guid } } },
        "metadata": metadata.present(),
        "links": links(droplet, urls),
    })
}

fn buildpacks_of(droplet: &Droplet) -> Value {
    let mut all = droplet.buildpacks.clone();
    for buildpack in all.as_array_mut().into_iter().flatten() {
        if let Some(name) = buildpack["name"].as_str() {
            buildpack["name"] = json!(model::buildpacks::without_credentials(name));
        }
    }
    all
}

fn links(droplet: &Droplet, urls: &Urls) -> Value {
    let path = format!("/v3/droplets/{}", droplet.guid);
    let app = format!("/v3/apps/{}", droplet.app_guid);
    let mut links = Map::new();
    links.insert("self".to_owned(), urls.link(&path));
    links.insert("app".to_owned(), urls.link(&app));
    links.insert(
        "assign_current_droplet".to_owned(),
        urls.action(&format!("{app}/relationships/current_droplet"), "PATCH"),
    );
    if let Some(package) = &droplet.package_guid {
        links.insert(
            "package".to_owned(),
            urls.link(&format!("/v3/packages/{package}")),
        );
    }
    if droplet.state == DropletState::AwaitingUpload {
        links.insert(
            "upload".to_owned(),
            urls.action(&format!("{path}/upload"), "POST"),
        );
    }
    if droplet.state == DropletState::Staged && droplet.lifecycle_type == "buildpack" {
        links.insert(
            "download".to_owned(),
            urls.link(&format!("{path}/download")),
        );
    }
    Value::Object(links)
}
