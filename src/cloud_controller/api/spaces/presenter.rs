//! JSON of a space.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// With its metadata read from the database.
pub(super) fn present_from(tx: &ReadTx<'_>, space: &Space, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Space, space.guid.as_str())?;
    Ok(present(space, &metadata, urls))
}

/// Many, with their metadata.
pub(crate) fn present_all(tx: &ReadTx<'_>, spaces: &[Space], urls: &Urls) -> Result<Vec<Value>> {
    let guids = spaces.iter().map(|space| space.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Space, guids)?;
    let shown = spaces
        .iter()
        .map(|space| present(space, metadata.of(space.guid.as_str()), urls));
    Ok(shown.collect())
}

/// `/v3/spaces/:guid`.
pub(crate) fn present(space: &Space, metadata: &Metadata, urls: &Urls) -> Value {
    let path = format!("/v3/spaces/{}", space.guid);
    let mut links = json!({
        "self": urls.link(&path),
        "organization": urls.link(&format!("/v3/organizations/{}", space.organization_guid)),
        "features": urls.link(&format!("{path}/features")),
        "apply_manifest": urls.action(&format!("{path}/actions/apply_manifest"), "POST"),
    });
    if let Some(quota) = &space.quota_guid {
        links["quota"] = urls.link(&format!("/v3/space_quotas/{quota}"));
    }
    json!({
        "guid": space.guid,
        "created_at": space.created_at,
        "updated_at": space.updated_at,
        "name": space.name,
        "suspended": space.suspended,
        "relationships": {
            "organization": { "data": { "guid": space.organization_guid } },
            "quota": { "data": space.quota_guid.as_ref().map(|guid| json!({ "guid": guid })) },
        },
        "metadata": metadata.present(),
        "links": links,
    })
}

/// `/v3/spaces/:guid/features/ssh`.
pub(super) fn ssh_feature(space: &Space) -> Value {
    json!({
        "name": "ssh",
        "description": "Enable SSHing into apps in the space.",
        "enabled": space.ssh_allowed,
    })
}
