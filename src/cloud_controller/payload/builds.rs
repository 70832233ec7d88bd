//! Bodies and queries of builds.

use serde_json::{Map, Value};

use crate::base::guid::PackageGuid;
use crate::cloud_controller::body::{Body, Whole};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::payload;
use crate::cloud_controller::payload::environment_variable_groups::name_fault;
use crate::cloud_controller::query::ListRules;
use crate::staging::HostCredentials;

pub(crate) const LIST: ListRules = ListRules::new(&["app_guids", "package_guids", "states"]);
pub(crate) const LIST_OF_APP: ListRules = ListRules::new(&["states"]);

/// `POST /v3/builds`.
#[derive(Debug)]
pub(crate) struct CreateBuild {
    pub package: PackageGuid,
    pub memory: Option<i64>,
    pub disk: Option<i64>,
    pub log_rate_limit: Option<i64>,
    pub environment: Map<String, Value>,
    pub lifecycle: Option<RequestedLifecycle>,
    pub metadata: MetadataChange,
}

/// The requested lifecycle.
#[derive(Debug)]
pub(crate) struct RequestedLifecycle {
    pub kind: String,
    pub buildpacks: Option<Vec<String>>,
    pub stack: Option<String>,
    pub credentials: Option<HostCredentials>,
}

pub(crate) fn create(mut body: Body) -> Result<CreateBuild> {
    let package = package(&mut body);
    let memory = body.whole("staging_memory_in_mb", Whole::above(0));
    let disk = body.whole("staging_disk_in_mb", Whole::above(0));
    let log_rate_limit = body.whole(
        "staging_log_rate_limit_bytes_per_second",
        Whole::at_least(-1),
    );
    let environment = environment(&mut body);
    let lifecycle = lifecycle(&mut body);
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreateBuild {
        package,
        memory,
        disk,
        log_rate_limit,
        environment,
        lifecycle,
        metadata,
    })
}

fn package(body: &mut Body) -> PackageGuid {
    let guid = match body.fields.take("package") {
        None => {
            body.invalid.field("package_guid", "can't be blank");
            return PackageGuid::default();
        }
        Some(value) => value.get("guid").and_then(Value::as_str).map(str::to_owned),
    };
    let Some(guid) = guid else {
        body.invalid.field("package_guid", "must be a string");
        return PackageGuid::default();
    };
    if !(1..=200).contains(&guid.chars().count()) {
        body.invalid
            .field("package_guid", "must be between 1 and 200 characters");
    }
    guid.into()
}

fn environment(body: &mut Body) -> Map<String, Value> {
    match body.fields.take("environment_variables") {
        None => Map::new(),
        Some(Value::Object(map)) => {
            for fault in map.keys().filter_map(|name| name_fault(name)) {
                body.invalid.field("environment_variables", fault);
            }
            map
        }
        Some(_) => {
            body.invalid
                .field("environment_variables", "must be an object");
            Map::new()
        }
    }
}

fn lifecycle(body: &mut Body) -> Option<RequestedLifecycle> {
    let mut given = body.fields.object("lifecycle", &mut body.invalid)?;
    let kind = given.string("type", &mut body.invalid).unwrap_or_default();
    if !matches!(kind.as_str(), "buildpack" | "docker" | "cnb") {
        body.invalid.field(
            "lifecycle_type",
            "is not included in the list: buildpack, docker, cnb",
        );
    }
    let mut lifecycle = RequestedLifecycle {
        kind,
        buildpacks: None,
        stack: None,
        credentials: None,
    };
    if let Some(mut data) = given.object("data", &mut body.invalid) {
        lifecycle.buildpacks = data.strings("buildpacks", &mut body.invalid);
        lifecycle.stack = data.string("stack", &mut body.invalid);
        let buildpacks = lifecycle.buildpacks.iter().flatten();
        if buildpacks
            .chain(&lifecycle.stack)
            .any(|text| text.contains(char::is_control))
        {
            body.invalid
                .add("Lifecycle data must not contain control characters");
        }
        if lifecycle.kind != "docker" {
            let credentials = data.take("credentials");
            lifecycle.credentials =
                credentials.and_then(|given| payload::apps::credentials(given, &mut body.invalid));
        }
        data.refuse_unknown(&mut body.invalid, "Lifecycle ");
    }
    given.refuse_unknown(&mut body.invalid, "Lifecycle ");
    Some(lifecycle)
}

/// `PATCH /v3/builds/:guid`.
#[derive(Debug)]
pub(crate) struct BuildChange {
    /// The state that an external stager reports: `FAILED` or `STAGED`.
    pub state: Option<String>,
    pub error: Option<String>,
    pub metadata: MetadataChange,
}

pub(crate) fn update(mut body: Body) -> Result<BuildChange> {
    let given = body.fields.nullable("state");
    let state = given.as_ref().and_then(Value::as_str).map(str::to_owned);
    let is_final = matches!(state.as_deref(), Some("FAILED" | "STAGED"));
    if let Some(given) = given.filter(|_| !is_final) {
        let shown = state.clone().unwrap_or_else(|| match given {
            Value::Null => String::new(),
            other => other.to_string(),
        });
        body.invalid
            .field("state", &format!("'{shown}' is not a valid state"));
    }
    let error = body.string("error");
    let lifecycle = body.fields.take("lifecycle");
    if state.as_deref() == Some("STAGED") && lifecycle.is_none() {
        body.invalid
            .field("lifecycle", "'STAGED' builds require lifecycle data");
    }
    let metadata = body.metadata();
    body.finish()?;
    Ok(BuildChange {
        state,
        error,
        metadata,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cloud_controller::error::Error;

    #[test]
    fn states_of_external_stagers_are_final() {
        let cases = [
            (
                json!({ "state": "STAGING" }),
                Some("State 'STAGING' is not a valid state"),
            ),
            (
                json!({ "state": null }),
                Some("State '' is not a valid state"),
            ),
            (
                json!({ "state": "STAGED" }),
                Some("Lifecycle 'STAGED' builds require lifecycle data"),
            ),
            (
                json!({ "state": "FAILED", "error": 1 }),
                Some("Error must be a string"),
            ),
            (json!({ "state": "FAILED", "error": "gone" }), None),
            (json!({}), None),
        ];
        for (value, fault) in cases {
            let Value::Object(map) = value else {
                panic!("an object")
            };
            let result = update(Body::new(map));
            assert_eq!(result.as_ref().err().map(Error::detail), fault);
        }
    }
}
