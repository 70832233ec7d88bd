//! Bodies and queries of domains.

use serde_json::{Map, Value};

use crate::base::guid::{OrganizationGuid, RouterGroupGuid};
use crate::cloud_controller::body::{Body, Invalid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::model::domains::check_name;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules = ListRules::new(&["names", "organization_guids"]);

/// `POST /v3/domains`.
#[derive(Debug)]
pub(crate) struct CreateDomain {
    pub name: String,
    pub internal: bool,
    /// The owner of a private domain.
    pub organization: Option<OrganizationGuid>,
    pub shared_organizations: Vec<OrganizationGuid>,
    pub router_group: Option<RouterGroupGuid>,
    pub metadata: MetadataChange,
}

/// Owner of a private domain, and organizations it is shared with.
#[derive(Debug, Default)]
struct Relationships {
    organization: Option<String>,
    shared_organizations: Vec<String>,
}

pub(crate) fn create(mut body: Body) -> Result<CreateDomain> {
    let relationships = relationships(&mut body);
    let name = name(&mut body);
    let has_router_group = body.fields.as_given().get("router_group").is_some();
    let router_group = router_group(&mut body);
    let internal = body.boolean("internal") == Some(true);
    if internal && relationships.is_some() {
        body.invalid
            .add("Cannot associate an internal domain with an organization");
    }
    if internal && has_router_group {
        body.invalid
            .add("Internal domains cannot be associated to a router group.");
    }
    if relationships.is_some() && has_router_group {
        body.invalid
            .add("Domains scoped to an organization cannot be associated to a router group.");
    }
    let metadata = body.metadata();
    body.finish()?;
    let (organization, shared) = match relationships {
        Some(given) => (
            Some(given.organization.unwrap_or_default()),
            given.shared_organizations,
        ),
        None => (None, Vec::new()),
    };
    Ok(CreateDomain {
        name,
        internal,
        organization: organization.map(OrganizationGuid::from),
        shared_organizations: shared.into_iter().map(OrganizationGuid::from).collect(),
        router_group: router_group.map(RouterGroupGuid::from),
        metadata,
    })
}

/// `PATCH /v3/domains/:guid`.
pub(crate) fn update(mut body: Body) -> Result<MetadataChange> {
    let metadata = body.metadata();
    body.finish()?;
    Ok(metadata)
}

fn name(body: &mut Body) -> String {
    match body.fields.take("name") {
        Some(Value::String(name)) => {
            let name = name.trim().to_owned();
            if name.is_empty() {
                body.invalid.field("name", "can't be blank");
            }
            check_name(&name, &mut body.invalid);
            name
        }
        given => {
            if given.is_none() {
                body.invalid.field("name", "can't be blank");
            }
            body.invalid.field("name", "must be a string");
            String::new()
        }
    }
}

fn router_group(body: &mut Body) -> Option<String> {
    let Value::Object(mut group) = body.fields.take("router_group")? else {
        body.invalid.field("router_group", "must be an object");
        return None;
    };
    let guid = if let Some(Value::String(guid)) = group.shift_remove("guid") {
        Some(guid)
    } else {
        body.invalid.field("router_group", "guid must be a string");
        None
    };
    if !group.is_empty() {
        let names: Vec<&str> = group.keys().map(String::as_str).collect();
        let fault = format!("Unknown field(s): '{}'", names.join("', '"));
        body.invalid.field("router_group", &fault);
    }
    guid
}

/// `Some` = the domain is private.
fn relationships(body: &mut Body) -> Option<Relationships> {
    let Value::Object(mut given) = body.fields.nullable("relationships")? else {
        body.invalid
            .add("Relationships 'relationships' is not an object");
        return Some(Relationships::default());
    };
    if given.is_empty() {
        body.invalid
            .add("Relationships 'relationships' must include one or more valid relationships");
    }
    let has_organization = given.contains_key("organization");
    let shared = given.shift_remove("shared_organizations");
    // Null means none, as sent by clients that write all fields.
    let shared = shared.filter(|value| !value.is_null());
    if shared.is_some() && !has_organization {
        body.invalid.add(
            "Relationships cannot contain shared_organizations without an owning organization.",
        );
    }
    let mut rest = Body::new(Map::from_iter([(
        "relationships".to_owned(),
        Value::Object(given),
    )]));
    let [organization] = rest.optional_relationships(["organization"]);
    for fault in rest.invalid.into_texts() {
        body.invalid.add(fault);
    }
    Some(Relationships {
        organization: organization.flatten(),
        shared_organizations: shared
            .map(|value| to_many(&value, &mut body.invalid))
            .unwrap_or_default(),
    })
}

fn to_many(value: &Value, invalid: &mut Invalid) -> Vec<String> {
    let guids = value
        .as_object()
        .filter(|object| object.len() == 1)
        .and_then(|object| guids(object.get("data")?));
    guids.unwrap_or_else(|| {
        invalid.add(
            "Relationships Shared organizations must be structured like this: \"shared_organizations: \
             {\"data\": [{\"guid\": \"valid-guid\"},{\"guid\": \"valid-guid\"}]}\"",
        );
        Vec::new()
    })
}

fn guids(data: &Value) -> Option<Vec<String>> {
    let guid = |entry: &Value| {
        let object = entry.as_object().filter(|object| object.len() == 1)?;
        let guid = object.get("guid")?.as_str()?;
        (1..=200)
            .contains(&guid.chars().count())
            .then(|| guid.to_owned())
    };
    data.as_array()?.iter().map(guid).collect()
}

/// `POST /v3/domains/:guid/relationships/shared_organizations`.
pub(crate) fn share(mut body: Body) -> Result<Vec<OrganizationGuid>> {
    let shared = body.fields.take("data").and_then(|data| guids(&data));
    if shared.is_none() {
        body.invalid.add(
            "Data must have the structure \"data\": [{\"guid\": shared_org_guid_1}, {\"guid\": shared_org_guid_2}]",
        );
    }
    body.finish()?;
    let shared = shared.unwrap_or_default();
    Ok(shared.into_iter().map(OrganizationGuid::from).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(value: Value) -> Body {
        match value {
            Value::Object(map) => Body::new(map),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn faults_of_a_new_domain() {
        let organization = json!({ "data": { "guid": "o" } });
        let cases = [
            (json!({}), "Name can't be blank, Name must be a string"),
            (
                json!({ "name": "a.com", "internal": 1 }),
                "Internal must be a boolean",
            ),
            (
                json!({ "name": "a.com", "internal": true, "relationships": { "organization": organization } }),
                "Cannot associate an internal domain with an organization",
            ),
            (
                json!({ "name": "a.com", "relationships": {} }),
                "Relationships 'relationships' must include one or more valid relationships",
            ),
            (
                json!({ "name": "a.com", "relationships": { "shared_organizations": { "data": [] } } }),
                "Relationships cannot contain shared_organizations without an owning organization.",
            ),
            (
                json!({ "name": "a.com", "router_group": { "guid": "g" }, "relationships": { "organization": organization } }),
                "Domains scoped to an organization cannot be associated to a router group.",
            ),
            (
                json!({ "name": "a.com", "router_group": { "guid": 1, "x": 2 } }),
                "Router group guid must be a string, Router group Unknown field(s): 'x'",
            ),
        ];
        for (body, fault) in cases {
            let shown = body.to_string();
            let refusal = create(open(body)).expect_err(&shown);
            assert_eq!(refusal.detail(), fault, "{shown}");
        }
    }

    #[test]
    fn a_private_domain_names_its_owner_and_shared_organizations() {
        let wanted = create(open(json!({
            "name": "a.com",
            "relationships": {
                "organization": { "data": { "guid": "o" } },
                "shared_organizations": { "data": [{ "guid": "p" }, { "guid": "q" }] },
            },
        })))
        .expect("valid");
        assert_eq!(wanted.organization, Some("o".into()));
        assert_eq!(wanted.shared_organizations, ["p".into(), "q".into()]);
    }
}
