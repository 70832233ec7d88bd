//! JSON of an organization.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// With its metadata read from the database.
pub(super) fn present_from(
    tx: &ReadTx<'_>,
    organization: &Organization,
    urls: &Urls,
) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Organization, organization.guid.as_str())?;
    Ok(present(organization, &metadata, urls))
}

/// Many, with their metadata.
pub(crate) fn present_all(
    tx: &ReadTx<'_>,
    organizations: &[Organization],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = organizations.iter().map(|o| o.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Organization, guids)?;
    let shown = organizations
        .iter()
        .map(|o| present(o, metadata.of(o.guid.as_str()), urls));
    Ok(shown.collect())
}

/// `/v3/organizations/:guid`.
pub(crate) fn present(organization: &Organization, metadata: &Metadata, urls: &Urls) -> Value {
    let path = format!("/v3/organizations/{}", organization.guid);
    json!({
        "guid": organization.guid,
        "created_at": organization.created_at,
        "updated_at": organization.updated_at,
        "name": organization.name,
        "suspended": organization.suspended,
        "relationships": { "quota": { "data": { "guid": organization.quota_guid } } },
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&path),
            "domains": urls.link(&format!("{path}/domains")),
            "default_domain": urls.link(&format!("{path}/domains/default")),
            "quota": urls.link(&format!("/v3/organization_quotas/{}", organization.quota_guid)),
        },
    })
}
