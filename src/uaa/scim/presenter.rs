//! Users as SCIM shows them.

use serde_json::{Map, Value, json};

use crate::base::Timestamp;
use crate::uaa::scopes::Scopes;
use crate::uaa::users::User;

const SCHEMA: &str = "urn:scim:schemas:core:1.0";

/// A user and its groups.
pub(crate) fn present(user: &User, groups: &Scopes) -> Value {
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
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
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

fn group(name: &str) -> Value {
    json!({ "value": name, "display": name, "type": "DIRECT" })
}

/// One page of users.
pub(crate) fn present_list(users: &[Value], start: u32, count: u32, total: i64) -> Value {
    json!({
        "resources": users,
        "startIndex": start,
        "itemsPerPage": count,
        "totalResults": total,
        "schemas": [SCHEMA],
    })
}

/// Only these attributes of a user, as `attributes=id,userName` asks.
pub(crate) fn select(user: Value, attributes: &[String]) -> Value {
    let Value::Object(fields) = user else {
        return user;
    };
    let wanted = |name: &String| {
        let mut attributes = attributes.iter();
        attributes.any(|wanted| {
            let top = wanted.split('.').next().unwrap_or(wanted);
            top.eq_ignore_ascii_case(name)
        })
    };
    Value::Object(
        fields
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .collect(),
    )
}
