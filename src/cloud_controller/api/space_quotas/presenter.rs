//! JSON of a space quota.

use serde_json::{Value, json};

use crate::base::guid::SpaceGuid;
use crate::cloud_controller::model::space_quotas::SpaceQuota;
use crate::cloud_controller::v3::{Urls, guid_data};

/// `/v3/space_quotas/:guid`, with the spaces that have it and the caller sees.
pub(super) fn present(quota: &SpaceQuota, members: &[SpaceGuid], urls: &Urls) -> Value {
    json!({
        "guid": quota.guid,
        "created_at": quota.created_at,
        "updated_at": quota.updated_at,
        "name": quota.name,
        "apps": quota.limits.present_apps(),
        "services": quota.limits.present_services(),
        "routes": quota.limits.present_routes(),
        "relationships": {
            "organization": { "data": { "guid": quota.organization_guid } },
            "spaces": { "data": guid_data(members) },
        },
        "links": {
            "self": urls.link(&format!("/v3/space_quotas/{}", quota.guid)),
            "organization": urls.link(&format!("/v3/organizations/{}", quota.organization_guid)),
        },
    })
}
