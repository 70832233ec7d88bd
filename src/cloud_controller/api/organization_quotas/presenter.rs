//! JSON of an organization quota.

use serde_json::{Value, json};

use crate::base::guid::OrganizationGuid;
use crate::cloud_controller::model::organization_quotas::Quota;
use crate::cloud_controller::v3::{Urls, guid_data};

/// `/v3/organization_quotas/:guid`, with the organizations that have it and the caller sees.
pub(super) fn present(quota: &Quota, members: &[OrganizationGuid], urls: &Urls) -> Value {
    json!({
        "guid": quota.guid,
        "created_at": quota.created_at,
        "updated_at": quota.updated_at,
        "name": quota.name,
        "apps": quota.limits.present_apps(),
        "services": quota.limits.present_services(),
        "routes": quota.limits.present_routes(),
        "domains": { "total_domains": quota.total_domains },
        "relationships": { "organizations": { "data": guid_data(members) } },
        "links": { "self": urls.link(&format!("/v3/organization_quotas/{}", quota.guid)) },
    })
}
