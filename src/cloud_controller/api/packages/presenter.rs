//! JSON of a package.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::packages::{Package, PackageKind};
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// `/v3/packages/:guid`.
pub(super) fn present(tx: &ReadTx<'_>, package: &Package, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Package, package.guid.as_str())?;
    Ok(present_with(package, &metadata, urls))
}

/// The same for metadata that is at hand.
pub(super) fn present_with(package: &Package, metadata: &Metadata, urls: &Urls) -> Value {
    let path = format!("/v3/packages/{}", package.guid);
    let mut links = json!({ "self": urls.link(&path) });
    let (kind, data) = match &package.kind {
        PackageKind::Bits(blob) => {
            links["upload"] = urls.action(&format!("{path}/upload"), "POST");
            links["download"] = urls.link(&format!("{path}/download"));
            let value = blob.as_ref().map(|blob| blob.digest.hex());
            (
                "bits",
                json!({ "error": package.error, "checksum": { "type": "sha256", "value": value } }),
            )
        }
        PackageKind::Docker { image, username } => {
            let password = username.as_ref().map(|_| "***");
            (
                "docker",
                json!({ "image": image, "username": username, "password": password }),
            )
        }
    };
    links["app"] = urls.link(&format!("/v3/apps/{}", package.app_guid));
    json!({
        "guid": package.guid,
        "created_at": package.created_at,
        "updated_at": package.updated_at,
        "type": kind,
        "data": data,
        "state": package.state,
        "relationships": { "app": { "data": { "guid": package.app_guid } } },
        "metadata": metadata.present(),
        "links": links,
    })
}
