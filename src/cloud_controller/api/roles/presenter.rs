//! JSON of a role.

use serde_json::{Value, json};

use crate::cloud_controller::model::roles::Role;
use crate::cloud_controller::v3::Urls;

/// `/v3/roles/:guid`.
pub(super) fn present(role: &Role, urls: &Urls) -> Value {
    let mut links = json!({
        "self": urls.link(&format!("/v3/roles/{}", role.guid)),
        "user": urls.link(&format!("/v3/users/{}", role.user_guid)),
    });
    let (space, organization) = match &role.space_guid {
        Some(space) => {
            links["space"] = urls.link(&format!("/v3/spaces/{space}"));
            (json!({ "guid": space }), Value::Null)
        }
        None => {
            links["organization"] =
                urls.link(&format!("/v3/organizations/{}", role.organization_guid));
            (Value::Null, json!({ "guid": role.organization_guid }))
        }
    };
    json!({
        "guid": role.guid,
        "created_at": role.created_at,
        "updated_at": role.updated_at,
        "type": role.kind,
        "relationships": {
            "user": { "data": { "guid": role.user_guid } },
            "organization": { "data": organization },
            "space": { "data": space },
        },
        "links": links,
    })
}
