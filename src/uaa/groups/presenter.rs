//! Groups and members as SCIM shows them.

use serde_json::{Value, json};

use super::Group;
use super::store::Member;

pub(crate) const SCHEMA: &str = "urn:scim:schemas:core:1.0";

/// A group and its members.
pub(crate) fn present(group: &Group, members: &[Member]) -> Value {
    let mut value = json!({
        "id": group.guid,
        "meta": {
            "version": group.version,
            "created": group.created_at,
            "lastModified": group.updated_at,
        },
        "displayName": group.name,
        "zoneId": "uaa",
        "members": members.iter().map(present_member).collect::<Vec<_>>(),
        "schemas": [SCHEMA],
    });
    if let Some(description) = &group.description {
        value["description"] = description.as_str().into();
    }
    value
}

/// A member.
pub(crate) fn present_member(member: &Member) -> Value {
    json!({ "origin": member.origin, "type": "USER", "value": member.user })
}
