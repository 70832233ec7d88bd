//! Bodies and queries about service instances.

use serde_json::{Map, Value};

use crate::base::guid::{ServicePlanGuid, SpaceGuid};
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::payload::service_fields::FieldRule;
use crate::cloud_controller::query::ListRules;
use crate::marketplace::catalog::is_semantic_version;

const LONGEST_URL: usize = 10_000;
/// The combined length of all tags.
const LONGEST_TAGS: usize = 2048;

pub(crate) const LIST: ListRules = ListRules::new(&[
    "names",
    "space_guids",
    "organization_guids",
    "service_plan_guids",
    "service_plan_names",
])
.order_by(&["name"])
.extras(&[
    "type",
    "fields[space]",
    "fields[space.organization]",
    "fields[service_plan]",
    "fields[service_plan.service_offering]",
    "fields[service_plan.service_offering.service_broker]",
]);

/// Of lists.
pub(crate) const LIST_FIELDS: &[FieldRule] = &[
    FieldRule::new(
        "space",
        "spaces",
        &["guid", "name", "relationships.organization"],
    ),
    FieldRule::new("space.organization", "organizations", &["name", "guid"]),
    FieldRule::new(
        "service_plan",
        "service_plans",
        &["guid", "name", "relationships.service_offering"],
    ),
    FieldRule::new(
        "service_plan.service_offering",
        "service_offerings",
        &[
            "name",
            "guid",
            "description",
            "documentation_url",
            "tags",
            "relationships.service_broker",
        ],
    ),
    FieldRule::new(
        "service_plan.service_offering.service_broker",
        "service_brokers",
        &["name", "guid"],
    ),
];

/// Of one instance.
pub(crate) const FIELDS: &[FieldRule] = &[
    FieldRule::new("space", "spaces", &["name", "guid"]),
    FieldRule::new("space.organization", "organizations", &["name", "guid"]),
    FieldRule::new("service_plan", "service_plans", &["name", "guid"]),
    FieldRule::new(
        "service_plan.service_offering",
        "service_offerings",
        &["name", "guid", "description", "tags", "documentation_url"],
    ),
    FieldRule::new(
        "service_plan.service_offering.service_broker",
        "service_brokers",
        &["name", "guid"],
    ),
];

/// The parameters of [`FIELDS`].
pub(crate) const FIELD_NAMES: &[&str] = &[
    "fields[space]",
    "fields[space.organization]",
    "fields[service_plan]",
    "fields[service_plan.service_offering]",
    "fields[service_plan.service_offering.service_broker]",
];

/// Of the spaces an instance is shared with.
pub(crate) const SHARED_FIELDS: &[FieldRule] = &[
    FieldRule::new(
        "space",
        "spaces",
        &["name", "guid", "relationships.organization"],
    ),
    FieldRule::new("space.organization", "organizations", &["name", "guid"]),
];

/// What user-provided instances are made of.
#[derive(Debug, Default)]
pub(crate) struct Provided {
    /// `Some(None)` = removed.
    pub credentials: Option<Option<Map<String, Value>>>,
    pub syslog_drain_url: Option<Option<String>>,
    pub route_service_url: Option<Option<String>>,
}

/// Which kind of instance is to be made.
#[derive(Debug)]
pub(crate) enum NewKind {
    Managed {
        plan: ServicePlanGuid,
        parameters: Option<Map<String, Value>>,
    },
    UserProvided(Provided),
}

/// `POST /v3/service_instances`.
#[derive(Debug)]
pub(crate) struct CreateInstance {
    pub name: String,
    pub tags: Vec<String>,
    pub space: SpaceGuid,
    pub kind: NewKind,
    pub metadata: MetadataChange,
    pub request: Value,
}

pub(crate) fn create(mut body: Body) -> Result<CreateInstance> {
    let request = body.as_given();
    let kind = body.fields.take("type");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    let managed = kind == "managed";
    if !managed && kind != "user-provided" {
        let fault = "must be one of 'managed', 'user-provided'";
        body.invalid.field("type", fault);
        // What else there may be depends on it.
        let invalid = std::mem::take(&mut body.invalid);
        return invalid
            .refuse()
            .and_then(|()| create_of(body, request, managed));
    }
    create_of(body, request, managed)
}

fn create_of(mut body: Body, request: Value, managed: bool) -> Result<CreateInstance> {
    let name = body.required_string("name");
    if let Some(name) = &name {
        body.check_name("name", name);
    }
    let tags = tags(&mut body);
    let (space, kind) = if managed {
        let [space, plan] = body.relationships(["space", "service_plan"]);
        let plan = plan.flatten().unwrap_or_default().into();
        let parameters = parameters(&mut body);
        (space, NewKind::Managed { plan, parameters })
    } else {
        let [space] = body.relationships(["space"]);
        (space, NewKind::UserProvided(provided(&mut body)))
    };
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreateInstance {
        name: name.unwrap_or_default(),
        tags: tags.unwrap_or_default(),
        space: space.flatten().unwrap_or_default().into(),
        kind,
        metadata,
        request,
    })
}

/// `PATCH /v3/service_instances/:guid` of a managed one.
#[derive(Debug)]
pub(crate) struct UpdateManaged {
    pub name: Option<String>,
    pub tags: Option<Vec<String>>,
    pub plan: Option<ServicePlanGuid>,
    pub parameters: Option<Map<String, Value>>,
    /// Whether `maintenance_info` is there.
    pub maintains: bool,
    pub version: Option<String>,
    pub metadata: MetadataChange,
    pub request: Value,
}

impl UpdateManaged {
    /// Whether labels and annotations are all there is.
    pub(crate) fn is_metadata_only(&self) -> bool {
        let request = self.request.as_object();
        request.is_some_and(|map| map.len() == 1 && map.contains_key("metadata"))
    }
}

pub(crate) fn update_managed(mut body: Body) -> Result<UpdateManaged> {
    let request = body.as_given();
    let name = update_name(&mut body);
    let tags = tags(&mut body);
    let parameters = parameters(&mut body);
    let plan = match body.fields.take("relationships") {
        None => None,
        Some(given) => {
            body.fields.put("relationships", given);
            let [plan] = body.relationships(["service_plan"]);
            plan.flatten().map(ServicePlanGuid::from)
        }
    };
    let mut maintains = false;
    let mut version = None;
    if let Some(mut info) = body.fields.object("maintenance_info", &mut body.invalid) {
        maintains = true;
        version = info.string("version", &mut body.invalid);
        if version
            .as_deref()
            .is_some_and(|text| !is_semantic_version(text))
        {
            body.invalid
                .field("maintenance_info", "Version must be a Semantic Version");
        }
        info.refuse_unknown(&mut body.invalid, "Maintenance info ");
    }
    let metadata = body.metadata();
    body.finish()?;
    Ok(UpdateManaged {
        name,
        tags,
        plan,
        parameters,
        maintains,
        version,
        metadata,
        request,
    })
}

/// `PATCH /v3/service_instances/:guid` of a user-provided one.
#[derive(Debug)]
pub(crate) struct UpdateProvided {
    pub name: Option<String>,
    pub tags: Option<Vec<String>>,
    pub provided: Provided,
    pub metadata: MetadataChange,
    pub request: Value,
}

pub(crate) fn update_provided(mut body: Body) -> Result<UpdateProvided> {
    let request = body.as_given();
    let name = update_name(&mut body);
    let tags = tags(&mut body);
    let provided = provided(&mut body);
    let metadata = body.metadata();
    body.finish()?;
    Ok(UpdateProvided {
        name,
        tags,
        provided,
        metadata,
        request,
    })
}

fn update_name(body: &mut Body) -> Option<String> {
    let name = body.string("name")?;
    if name.trim().is_empty() {
        body.invalid.field("name", "can't be blank");
    }
    body.check_name("name", &name);
    Some(name)
}

fn tags(body: &mut Body) -> Option<Vec<String>> {
    let tags = body.fields.strings("tags", &mut body.invalid)?;
    if tags.concat().chars().count() > LONGEST_TAGS {
        body.invalid.add("tags too_long");
    }
    Some(tags)
}

/// What the user tells the broker.
pub(crate) fn parameters(body: &mut Body) -> Option<Map<String, Value>> {
    match body.fields.take("parameters")? {
        Value::Object(map) => Some(map),
        _ => {
            body.invalid.field("parameters", "must be an object");
            None
        }
    }
}

fn provided(body: &mut Body) -> Provided {
    let credentials = match body.fields.nullable("credentials") {
        None => None,
        Some(Value::Null) => Some(None),
        Some(Value::Object(map)) => Some(Some(map)),
        Some(Value::String(text)) if text.trim().is_empty() => Some(None),
        Some(_) => {
            body.invalid.field("credentials", "must be an object");
            None
        }
    };
    let syslog_drain_url = uri(body, "syslog_drain_url");
    let route_service_url = uri(body, "route_service_url");
    if let Some(Some(url)) = &route_service_url {
        if !url.starts_with("https:") {
            body.invalid.field("route_service_url", "must be https");
        } else if url::Url::parse(url).is_ok_and(|url| {
            let host = url.host_str().unwrap_or_default();
            host.is_empty() || host.starts_with('.')
        }) {
            body.invalid
                .add("service_instance route_service_url_invalid");
        }
    }
    Provided {
        credentials,
        syslog_drain_url,
        route_service_url,
    }
}

/// `Some(None)` = null or blank.
fn uri(body: &mut Body, name: &str) -> Option<Option<String>> {
    match body.fields.nullable(name)? {
        Value::Null => Some(None),
        Value::String(text) if text.trim().is_empty() => Some(None),
        Value::String(text) if url::Url::parse(&text).is_ok() => {
            if text.chars().count() > LONGEST_URL {
                body.invalid.add(format!("{name} max_length"));
            }
            Some(Some(text))
        }
        _ => {
            body.invalid.field(name, "must be a valid URI");
            None
        }
    }
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
    fn faults_of_a_new_instance() {
        let cases = [
            (
                json!({ "type": "x" }),
                "Type must be one of 'managed', 'user-provided'",
            ),
            (json!({ "name": " " }), "Name can't be blank"),
            (json!({ "name": 7 }), "Name must be a string"),
            (json!({ "tags": "x" }), "Tags must be an array"),
            (json!({ "tags": [1] }), "Tags must be a list of strings"),
            (json!({ "tags": ["x".repeat(2049)] }), "tags too_long"),
            (
                json!({ "credentials": [] }),
                "Credentials must be an object",
            ),
            (
                json!({ "syslog_drain_url": "x" }),
                "Syslog drain url must be a valid URI",
            ),
            (
                json!({ "route_service_url": "http://x" }),
                "Route service url must be https",
            ),
            (
                json!({ "parameters": {} }),
                "Unknown field(s): 'parameters'",
            ),
        ];
        for (change, fault) in cases {
            let mut body = json!({
                "type": "user-provided", "name": "i", "relationships": { "space": { "data": { "guid": "s" } } },
            });
            for (key, value) in change.as_object().expect("an object") {
                body[key] = value.clone();
            }
            assert_eq!(create(open(body)).expect_err(fault).detail(), fault);
        }
        let managed = json!({ "type": "managed", "name": "i", "credentials": {},
            "relationships": { "space": { "data": { "guid": "s" } }, "service_plan": { "data": { "guid": "p" } } } });
        let refusal = create(open(managed)).expect_err("credentials");
        assert_eq!(refusal.detail(), "Unknown field(s): 'credentials'");
    }

    #[test]
    fn what_is_null_is_removed_and_what_is_absent_stays() {
        let body = json!({ "credentials": null, "syslog_drain_url": "", "tags": [] });
        let change = update_provided(open(body)).expect("valid");
        assert_eq!(change.provided.credentials, Some(None));
        assert_eq!(change.provided.syslog_drain_url, Some(None));
        assert_eq!(change.provided.route_service_url, None);
        assert_eq!(change.tags, Some(Vec::new()));
    }

    #[test]
    fn versions_are_semantic() {
        let body = json!({ "maintenance_info": { "version": "one" } });
        let refusal = update_managed(open(body)).expect_err("no version");
        assert_eq!(
            refusal.detail(),
            "Maintenance info Version must be a Semantic Version"
        );
    }
}
