//! JSON of a buildpack.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::buildpacks::Buildpack;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// `/v3/buildpacks/:guid`.
pub(super) fn present(tx: &ReadTx<'_>, buildpack: &Buildpack, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Buildpack, buildpack.guid.as_str())?;
    Ok(present_with(buildpack, &metadata, urls))
}

/// The same for metadata that is at hand.
pub(super) fn present_with(buildpack: &Buildpack, metadata: &Metadata, urls: &Urls) -> Value {
    let path = format!("/v3/buildpacks/{}", buildpack.guid);
    json!({
        "guid": buildpack.guid,
        "created_at": buildpack.created_at,
        "updated_at": buildpack.updated_at,
        "name": buildpack.name,
        "stack": buildpack.stack,
        "state": buildpack.state,
        "lifecycle": buildpack.lifecycle,
        "filename": buildpack.filename,
        "position": buildpack.position,
        "enabled": buildpack.enabled,
        "locked": buildpack.locked,
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&path),
            "upload": urls.action(&format!("{path}/upload"), "POST"),
        },
    })
}
