//! Bodies and queries of roles.

use serde_json::Value;

use crate::base::guid::{OrganizationGuid, SpaceGuid, UserGuid};
use crate::cloud_controller::body::{Body, Fields, Invalid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::roles::{ORGANIZATION_ROLES, SPACE_ROLES};
use crate::cloud_controller::query::ListRules;

pub(crate) const INCLUDES: &[&str] = &["user", "organization", "space"];

pub(crate) const LIST: ListRules =
    ListRules::new(&["organization_guids", "space_guids", "user_guids", "types"])
        .without_labels()
        .includes(INCLUDES);

/// The user who gets a role.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// By guid.
    Guid(UserGuid),
    /// By name, optionally with origin.
    Name {
        name: String,
        origin: Option<String>,
    },
}

/// Where a role applies.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// In an organization.
    Organization(OrganizationGuid),
    /// In a space.
    Space(SpaceGuid),
}

/// `POST /v3/roles`.
#[derive(Debug, Clone)]
pub(crate) struct CreateRole {
    /// The request, for the audit event.
    pub request: Value,
    pub kind: String,
    pub who: Who,
    pub scope: Scope,
}

pub(crate) fn create(mut body: Body) -> Result<CreateRole> {
    let request = body.as_given();
    let kind = body.string("type").unwrap_or_default();
    if !ORGANIZATION_ROLES.contains(&kind.as_str()) && !SPACE_ROLES.contains(&kind.as_str()) {
        let all: Vec<String> = ORGANIZATION_ROLES
            .iter()
            .chain(SPACE_ROLES)
            .map(|name| format!("\"{name}\""))
            .collect();
        body.invalid.field(
            "type",
            &format!("must be one of the allowed types [{}]", all.join(", ")),
        );
    }
    let mut wanted = None;
    match body.fields.nullable("relationships") {
        Some(Value::Object(map)) if map.is_empty() => {
            body.invalid
                .add("Relationships 'relationships' must include one or more valid relationships");
        }
        Some(Value::Object(map)) => {
            wanted = relationships(Fields::new(map), &kind, &mut body.invalid);
        }
        _ => body
            .invalid
            .add("Relationships 'relationships' is not an object"),
    }
    body.finish()?;
    let (who, scope) = wanted.unwrap_or((
        Who::Guid(UserGuid::default()),
        Scope::Space(SpaceGuid::default()),
    ));
    Ok(CreateRole {
        request,
        kind,
        who,
        scope,
    })
}

fn relationships(mut given: Fields, kind: &str, invalid: &mut Invalid) -> Option<(Who, Scope)> {
    let who = user(given.take("user"), invalid);
    let space = target(given.take("space"), "space", invalid);
    let organization = target(given.take("organization"), "organization", invalid);
    given.refuse_unknown(invalid, "Relationships ");
    let scope = match (space, organization) {
        (None, None) => {
            invalid.add("Relationships must specify either a space or an organization.");
            None
        }
        (Some(_), Some(_)) => {
            invalid.add("Relationships cannot specify both an organization and a space.");
            None
        }
        (Some(_), None) if ORGANIZATION_ROLES.contains(&kind) => {
            invalid.add(format!(
                "Relationships Space cannot be provided with the organization role type: '{kind}'."
            ));
            None
        }
        (None, Some(_)) if SPACE_ROLES.contains(&kind) => {
            invalid.add(format!(
                "Relationships Organization cannot be provided with the space role type: '{kind}'."
            ));
            None
        }
        (Some(space), None) => Some(Scope::Space(space.into())),
        (None, Some(organization)) => Some(Scope::Organization(organization.into())),
    };
    who.zip(scope)
}

fn user(value: Option<Value>, invalid: &mut Invalid) -> Option<Who> {
    let Some(value) = value else {
        invalid.add("Relationships User can't be blank");
        return None;
    };
    let none = serde_json::Map::new();
    let data = value
        .get("data")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let has = |key: &str| data.contains_key(key);
    let (by_guid, by_name) = (has("guid"), has("username"));
    let mut faults = Vec::new();
    if by_guid && by_name {
        faults.push("Username cannot be specified when identifying user by guid");
    }
    if by_guid && has("origin") {
        faults.push("User origin cannot be specified when identifying user by guid");
    }
    if has("origin") && !by_name {
        faults.push("User origin cannot be specified without specifying the username");
    }
    if !by_guid && !by_name {
        faults.push("User must have a username or guid specified");
    }
    let who = match (data.get("guid"), data.get("username"), data.get("origin")) {
        _ if !faults.is_empty() => None,
        (Some(Value::String(guid)), ..) if (1..=200).contains(&guid.chars().count()) => {
            Some(Who::Guid(guid.as_str().into()))
        }
        (Some(_), ..) => {
            faults.push(
                "User must be structured like this: \"user: {\"data\": {\"guid\": \"valid-guid\"}}\"",
            );
            None
        }
        (None, Some(Value::String(name)), None | Some(Value::Null)) => Some(Who::Name {
            name: name.clone(),
            origin: None,
        }),
        (None, Some(Value::String(name)), Some(Value::String(origin))) => Some(Who::Name {
            name: name.clone(),
            origin: Some(origin.clone()),
        }),
        (None, name, origin) => {
            if !name.is_some_and(Value::is_string) {
                faults.push("Username must be a string");
            }
            if origin.is_some_and(|origin| !origin.is_string() && !origin.is_null()) {
                faults.push("User origin must be a string");
            }
            None
        }
    };
    for fault in faults {
        invalid.add(format!("Relationships {fault}"));
    }
    who
}

fn target(value: Option<Value>, name: &str, invalid: &mut Invalid) -> Option<String> {
    let value = value?;
    let guid = value
        .pointer("/data/guid")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if guid.is_none() {
        let shown = if name == "space" {
            "Space"
        } else {
            "Organization"
        };
        invalid.add(format!(
            "Relationships {shown} must be structured like this: \"{name}: {{\"data\": {{\"guid\": \"valid-guid\"}}}}\""
        ));
    }
    guid
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(value: Value) -> String {
        let Value::Object(map) = value else {
            panic!("no object")
        };
        create(Body::new(map))
            .expect_err("refused")
            .detail()
            .to_owned()
    }

    #[test]
    fn combinations_are_checked() {
        let org = json!({ "data": { "guid": "o" } });
        let user = json!({ "data": { "guid": "u" } });
        assert_eq!(
            refusal(
                json!({ "type": "space_developer", "relationships": { "user": user, "organization": org } })
            ),
            "Relationships Organization cannot be provided with the space role type: 'space_developer'."
        );
        assert_eq!(
            refusal(
                json!({ "type": "organization_user", "relationships": { "organization": org } })
            ),
            "Relationships User can't be blank"
        );
        assert!(
            refusal(
                json!({ "type": "king", "relationships": { "user": user, "organization": org } })
            )
            .starts_with("Type must be one of the allowed types [\"organization_auditor\", ")
        );
    }

    #[test]
    fn users_are_named_by_guid_or_by_name() {
        let cases = [
            (json!({}), "User must have a username or guid specified"),
            (
                json!({ "guid": "g", "username": "n" }),
                "Username cannot be specified when identifying user by guid",
            ),
            (
                json!({ "origin": "ldap" }),
                "User origin cannot be specified without specifying the username, \
                 Relationships User must have a username or guid specified",
            ),
            (json!({ "username": 7 }), "Username must be a string"),
            (
                json!({ "username": "n", "origin": 7 }),
                "User origin must be a string",
            ),
            (
                json!({ "guid": 7 }),
                "User must be structured like this: \"user: {\"data\": {\"guid\": \"valid-guid\"}}\"",
            ),
        ];
        for (data, text) in cases {
            let organization = json!({ "data": { "guid": "o" } });
            let related = json!({ "user": { "data": data }, "organization": organization });
            let refused = refusal(json!({ "type": "organization_user", "relationships": related }));
            assert_eq!(refused, format!("Relationships {text}"));
        }
    }
}
