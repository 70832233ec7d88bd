//! Users as SCIM shows them.

use serde_json::{Map, Value, json};

use crate::base::Timestamp;
use crate::uaa::groups::Named;
use crate::uaa::users::User;

pub(crate) const SCHEMA: &str = "urn:scim:schemas:core:1.0";

/// A user and its groups.
pub(crate) fn present<'a>(user: &User, groups: impl Iterator<Item = &'a Named>) -> Value {
    let mut value = json!({
        "id": user.guid,
        "meta": {
            "version": user.version,
            "created": user.created_at,
            "lastModified": user.updated_at,
        },
        "userName": user.user_name,
        "name": name(user),
        "emails": [{ "value": user.email, "primary": true }],
        "groups": groups.map(group).collect::<Vec<_>>(),
        "approvals": [],
        "active": user.active,
        "verified": user.verified,
        "origin": user.origin,
        "zoneId": "uaa",
        "passwordLastModified": user.password_changed_at,
        "schemas": [SCHEMA],
    });
    let millis = |at: Timestamp| Value::from(at.as_micros() / 1000);
    let optional = [
        ("externalId", user.external_id.clone().map(Value::from)),
        ("lastLogonTime", user.last_logon_at.map(millis)),
        ("previousLogonTime", user.previous_logon_at.map(millis)),
    ];
    for (key, field) in optional {
        if let Some(field) = field {
            value[key] = field;
        }
    }
    value
}

fn name(user: &User) -> Value {
    let mut name = Map::new();
    for (key, part) in [
        ("givenName", &user.given_name),
        ("familyName", &user.family_name),
    ] {
        if let Some(part) = part {
            name.insert(key.to_owned(), part.as_str().into());
        }
    }
    Value::Object(name)
}

fn group((guid, name): &Named) -> Value {
    json!({ "value": guid, "display": name, "type": "DIRECT" })
}
