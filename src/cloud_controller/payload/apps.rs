//! Bodies and queries of apps.

use serde_json::{Map, Value};

use crate::base::guid::SpaceGuid;
use crate::cloud_controller::body::{Body, Fields, Invalid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::model::apps::{LifecycleChange, LifecycleType, Variables};
use crate::cloud_controller::payload::environment_variable_groups::name_fault;
use crate::cloud_controller::query::{ListQuery, ListRules};
use crate::staging::HostCredentials;

/// Allowed values of `include`.
pub(crate) const INCLUDES: &[&str] = &["space", "org", "space.organization"];

pub(crate) const LIST: ListRules =
    ListRules::new(&["names", "organization_guids", "space_guids", "stacks"])
        .order_by(&["name", "state"])
        .includes(INCLUDES)
        .extras(&["lifecycle_type"]);

const LONGEST: usize = 4096;

/// A checked `POST /v3/apps`.
#[derive(Debug, Clone)]
pub(crate) struct CreateApp {
    pub name: String,
    pub space: SpaceGuid,
    pub lifecycle: LifecycleChange,
    pub environment: Option<Variables>,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

/// A checked `PATCH /v3/apps/:guid`.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateApp {
    pub name: Option<String>,
    pub lifecycle: LifecycleChange,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

/// Checks the filter that takes one value, not a list.
pub(crate) fn lifecycle_type(query: &ListQuery) -> Result<Option<LifecycleType>> {
    let Some(text) = query.raw("lifecycle_type") else {
        return Ok(None);
    };
    let kind = LifecycleType::parse(text);
    kind.map(Some)
        .ok_or_else(|| Error::bad_query(format!("Invalid lifecycle_type: '{text}'")))
}

/// `POST /v3/apps`.
pub(crate) fn create(mut body: Body) -> Result<CreateApp> {
    let request = body.as_given();
    let name = match body.fields.take("name") {
        Some(Value::String(name)) => name,
        _ => {
            body.invalid.field("name", "must be a string");
            String::new()
        }
    };
    check_length(&name, &mut body.invalid);
    let environment = match body.fields.take("environment_variables") {
        None => None,
        Some(Value::Object(variables)) => Some(variables),
        Some(_) => {
            body.invalid
                .field("environment_variables", "must be an object");
            None
        }
    };
    let lifecycle = lifecycle(&mut body.fields, &mut body.invalid);
    let [space] = body.relationships(["space"]);
    let metadata = body.metadata();
    body.finish()?;
    let mut invalid = Invalid::default();
    check_name(&name, &mut invalid);
    for fault in environment
        .iter()
        .flat_map(Map::keys)
        .filter_map(|name| name_fault(name))
    {
        invalid.add(format!("environment_variables {fault}"));
    }
    invalid.refuse()?;
    let Some(Some(space)) = space else {
        return Err(Error::unprocessable(
            "Invalid space. Ensure that the space exists and you have access to it.",
        ));
    };
    let (name, space) = (name.trim().to_owned(), SpaceGuid::from(space));
    Ok(CreateApp {
        name,
        space,
        lifecycle,
        environment,
        metadata,
        request,
    })
}

/// `PATCH /v3/apps/:guid`.
pub(crate) fn update(mut body: Body) -> Result<UpdateApp> {
    let request = body.as_given();
    let name = body.string("name");
    if let Some(name) = &name {
        check_length(name, &mut body.invalid);
    }
    let lifecycle = lifecycle(&mut body.fields, &mut body.invalid);
    let metadata = body.metadata();
    body.finish()?;
    if let Some(name) = &name {
        let mut invalid = Invalid::default();
        check_name(name, &mut invalid);
        invalid.refuse()?;
    }
    Ok(UpdateApp {
        name: name.map(|name| name.trim().to_owned()),
        lifecycle,
        metadata,
        request,
    })
}

/// `PATCH /v3/apps/:guid/features/:name`.
pub(crate) fn feature(mut body: Body) -> Result<bool> {
    let enabled = body
        .fields
        .take("enabled")
        .and_then(|value| value.as_bool());
    if enabled.is_none() {
        body.invalid.field("enabled", "must be a boolean");
    }
    body.finish()?;
    Ok(enabled.unwrap_or_default())
}

fn check_length(name: &str, invalid: &mut Invalid) {
    if name.chars().count() > 255 {
        invalid.field("name", "is too long (maximum is 255 characters)");
    }
}

/// Faults that CC's model finds after the message is valid.
fn check_name(name: &str, invalid: &mut Invalid) {
    if name.trim().is_empty() {
        invalid.add("name presence");
    } else if name.chars().any(char::is_control) {
        invalid.add("name format");
    }
}

/// Takes `lifecycle` out of a body or a manifest's app.
pub(crate) fn lifecycle(fields: &mut Fields, invalid: &mut Invalid) -> LifecycleChange {
    let Some(mut given) = fields.object("lifecycle", invalid) else {
        return LifecycleChange::default();
    };
    let mut change = LifecycleChange::default();
    match given.take("type") {
        None => {}
        Some(Value::String(text)) if LifecycleType::parse(&text).is_some() => {
            change.kind = LifecycleType::parse(&text);
        }
        Some(other) => {
            if !other.is_string() {
                invalid.field("lifecycle_type", "must be a string");
            }
            let known = LifecycleType::ALL.map(LifecycleType::as_str).join(", ");
            invalid.field(
                "lifecycle_type",
                &format!("is not included in the list: {known}"),
            );
        }
    }
    match given.take("data") {
        Some(Value::Object(data)) => lifecycle_data(Fields::new(data), &mut change, invalid),
        _ => invalid.field("lifecycle_data", "must be an object"),
    }
    change
}

fn lifecycle_data(mut data: Fields, change: &mut LifecycleChange, invalid: &mut Invalid) {
    if change.kind != Some(LifecycleType::Docker) {
        change.buildpacks = buildpacks(data.nullable("buildpacks"), invalid);
        change.stack = match data.nullable("stack") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(Value::String(stack)) => {
                if stack.is_empty() || stack.chars().count() > LONGEST {
                    invalid.add("Lifecycle Stack must be between 1 and 4096 characters");
                }
                invalid.check_control("Lifecycle Stack", &stack);
                Some(Some(stack))
            }
            Some(_) => {
                invalid.add("Lifecycle Stack must be a string");
                None
            }
        };
        change.credentials = data
            .nullable("credentials")
            .map(|given| credentials(given, invalid));
    }
    data.refuse_unknown(invalid, "Lifecycle ");
}

/// Credentials of the hosts of buildpacks; `None` for null and for what is invalid.
pub(crate) fn credentials(given: Value, invalid: &mut Invalid) -> Option<HostCredentials> {
    let by_host = match given {
        Value::Null => return None,
        Value::Object(by_host) => by_host,
        _ => {
            invalid.add("Lifecycle Credentials must be an object");
            return None;
        }
    };
    if !by_host.values().all(Value::is_object) {
        invalid.add("Lifecycle Credentials credentials value must be a hash");
        return None;
    }
    Some(HostCredentials::new(by_host))
}

fn buildpacks(given: Option<Value>, invalid: &mut Invalid) -> Option<Vec<String>> {
    let entries = match given? {
        Value::Null => return Some(Vec::new()),
        Value::Array(entries) => entries,
        _ => {
            invalid.add("Lifecycle Buildpacks must be an array");
            return None;
        }
    };
    let texts: Vec<String> = entries
        .iter()
        .filter_map(|e| e.as_str().map(str::to_owned))
        .collect();
    if texts.len() < entries.len() {
        invalid.add("Lifecycle Buildpacks can only contain strings");
    }
    if texts
        .iter()
        .any(|text| text.trim().is_empty() || text.chars().count() > LONGEST)
    {
        invalid.add("Lifecycle Buildpacks entries must be between 1 and 4096 characters");
    }
    if texts.iter().any(|text| text.contains(char::is_control)) {
        invalid.add("Lifecycle Buildpacks must not contain control characters");
    }
    Some(texts)
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

    fn app(changes: Value) -> Value {
        let mut body =
            json!({ "name": "a", "relationships": { "space": { "data": { "guid": "s" } } } });
        if let (Value::Object(body), Value::Object(changes)) = (&mut body, changes) {
            body.extend(changes);
        }
        body
    }

    #[test]
    fn faults_of_a_new_app_are_reported_in_ccs_words() {
        let long = "x".repeat(256);
        let cases = [
            (json!({ "name": null }), "Name must be a string"),
            (
                json!({ "name": long }),
                "Name is too long (maximum is 255 characters)",
            ),
            (json!({ "name": "" }), "name presence"),
            (
                json!({ "environment_variables": 1 }),
                "Environment variables must be an object",
            ),
            (
                json!({ "environment_variables": { "PORT": "1" } }),
                "environment_variables cannot set PORT",
            ),
            (
                json!({ "lifecycle": { "type": "x", "data": {} } }),
                "Lifecycle type is not included in the list: buildpack, docker, cnb",
            ),
            (
                json!({ "lifecycle": { "type": "docker" } }),
                "Lifecycle data must be an object",
            ),
            (
                json!({ "lifecycle": { "type": "docker", "data": { "stack": "x" } } }),
                "Lifecycle Unknown field(s): 'stack'",
            ),
            (
                json!({ "lifecycle": { "data": { "buildpacks": "x" } } }),
                "Lifecycle Buildpacks must be an array",
            ),
            (
                json!({ "lifecycle": { "data": { "buildpacks": [1] } } }),
                "Lifecycle Buildpacks can only contain strings",
            ),
            (
                json!({ "lifecycle": { "data": { "buildpacks": [""] } } }),
                "Lifecycle Buildpacks entries must be between 1 and 4096 characters",
            ),
            (
                json!({ "lifecycle": { "data": { "stack": 1 } } }),
                "Lifecycle Stack must be a string",
            ),
            (
                json!({ "lifecycle": { "type": "cnb", "data": { "credentials": [] } } }),
                "Lifecycle Credentials must be an object",
            ),
            (
                json!({ "lifecycle": { "type": "cnb", "data": { "credentials": { "ghcr.io": "x" } } } }),
                "Lifecycle Credentials credentials value must be a hash",
            ),
            (json!({ "stack": "x" }), "Unknown field(s): 'stack'"),
        ];
        for (change, text) in cases {
            let refusal = create(open(app(change.clone()))).expect_err(text);
            assert_eq!(refusal.detail(), text, "{change}");
        }
    }

    #[test]
    fn null_and_absent_buildpacks_differ() {
        let absent =
            update(open(json!({ "lifecycle": { "data": { "stack": null } } }))).expect("valid");
        assert_eq!(absent.lifecycle.buildpacks, None);
        assert_eq!(absent.lifecycle.stack, Some(None));
        let null = update(open(
            json!({ "lifecycle": { "data": { "buildpacks": null } } }),
        ))
        .expect("valid");
        assert_eq!(null.lifecycle.buildpacks, Some(Vec::new()));
    }
}
