//! Bodies and queries of processes.

use serde_json::Value;

use crate::cloud_controller::body::{Body, Fields, Invalid, MAX_DB_INT, Whole};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::model::processes::{CheckChange, CheckType, Scaling, is_uri_path};
use crate::cloud_controller::query::{ListQuery, ListRules};

pub(crate) const LIST: ListRules =
    ListRules::new(&["types", "space_guids", "organization_guids", "app_guids"]).extras(&["embed"]);

/// The list below an app.
pub(crate) const LIST_OF_APP: ListRules = ListRules::new(&["types"]).extras(&["embed"]);

/// Parameters of one process.
pub(crate) const SINGLE: &[&str] = &["embed"];

const INSTANCES: &str = "process_instances";

/// A validated `PATCH`; the inner `None` = null in the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateProcess {
    pub command: Option<Option<String>>,
    pub user: Option<Option<String>>,
    pub health_check: CheckChange,
    pub readiness_check: CheckChange,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

/// Whether `embed=process_instances` was given.
pub(crate) fn embeds_instances(query: &ListQuery) -> Result<bool> {
    let values = query.values("embed").unwrap_or_default();
    for (i, value) in values.iter().enumerate() {
        if value != INSTANCES {
            return Err(Error::bad_query(format!(
                "Invalid embedded resource: '{value}'. Valid embedded resources are: '{INSTANCES}'"
            )));
        }
        if values[..i].contains(value) {
            return Err(Error::bad_query(format!(
                "Duplicate embedded resource: '{value}'"
            )));
        }
    }
    Ok(!values.is_empty())
}

/// `PATCH /v3/processes/:guid`.
pub(crate) fn update(mut body: Body) -> Result<UpdateProcess> {
    let request = body.as_given();
    let command = text(&mut body, "command", 4096);
    let user = text(&mut body, "user", 255);
    let health_check = check(&mut body, "health_check");
    let readiness_check = check(&mut body, "readiness_health_check");
    let metadata = body.metadata();
    body.finish()?;
    Ok(UpdateProcess {
        command,
        user,
        health_check,
        readiness_check,
        metadata,
        request,
    })
}

/// A size that is asked for.
#[derive(Debug)]
pub(crate) struct ScaleProcess {
    pub scaling: Scaling,
    /// The request, for the audit event.
    pub request: Value,
}

/// `POST /v3/processes/:guid/actions/scale`.
pub(crate) fn scale(mut body: Body) -> Result<ScaleProcess> {
    let request = body.as_given();
    let Body { fields, invalid } = &mut body;
    let scaling = scaling(fields, "instances", invalid);
    body.finish()?;
    Ok(ScaleProcess { scaling, request })
}

/// Takes out the values that scale a process; `instances` is the name of the number of instances.
pub(crate) fn scaling(fields: &mut Fields, instances: &str, invalid: &mut Invalid) -> Scaling {
    let size = Whole::above(0).up_to(MAX_DB_INT);
    Scaling {
        instances: fields.whole(instances, Whole::at_least(0).up_to(MAX_DB_INT), invalid),
        memory: fields.whole("memory_in_mb", size, invalid),
        disk: fields.whole("disk_in_mb", size, invalid),
        log_rate_limit: fields.whole(
            "log_rate_limit_in_bytes_per_second",
            Whole::at_least(-1),
            invalid,
        ),
    }
}

fn text(body: &mut Body, name: &str, longest: usize) -> Option<Option<String>> {
    match body.fields.nullable(name)? {
        Value::Null => Some(None),
        Value::String(text) => {
            if !(1..=longest).contains(&text.chars().count()) {
                body.invalid
                    .field(name, &format!("must be between 1 and {longest} characters"));
            }
            Some(Some(text))
        }
        _ => {
            body.invalid.field(name, "must be a string");
            None
        }
    }
}

fn check(body: &mut Body, name: &str) -> CheckChange {
    let Body { fields, invalid } = body;
    let Some(mut given) = fields.object(name, invalid) else {
        return CheckChange::default();
    };
    let mut change = CheckChange::default();
    if let Some(kind) = given.nullable("type") {
        change.kind = kind.as_str().and_then(CheckType::parse);
        if change.kind.is_none() {
            invalid.field(
                &format!("{name}_type"),
                "must be \"port\", \"process\", or \"http\"",
            );
        }
    }
    let Some(mut data) = given.object("data", invalid) else {
        return change;
    };
    let mut time = |key: &str, invalid: &mut Invalid| {
        let shown = format!("{name}_{key}");
        let rule = Whole::at_least(1).up_to(MAX_DB_INT);
        data.whole_called(key, &shown, rule, invalid)
    };
    if name == "health_check" {
        change.timeout = time("timeout", invalid);
    }
    change.invocation_timeout = time("invocation_timeout", invalid);
    change.interval = time("interval", invalid);
    change.endpoint = endpoint(
        data.nullable("endpoint"),
        &format!("{name}_endpoint"),
        invalid,
    );
    change
}

fn endpoint(given: Option<Value>, name: &str, invalid: &mut Invalid) -> Option<Option<String>> {
    let given = given?;
    if given.is_null() {
        return Some(None);
    }
    let text = given.as_str().unwrap_or("");
    if text.chars().count() > 255 {
        invalid.field(name, "is too long (maximum is 255 characters)");
    }
    if !is_uri_path(text) {
        invalid.field(name, "must be a valid URI path");
    }
    Some(Some(text.to_owned()))
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
    fn scaling_is_refused_in_ccs_words() {
        let cases = [
            (
                json!({ "instances": -1 }),
                "Instances must be greater than or equal to 0",
            ),
            (json!({ "instances": 1.5 }), "Instances must be an integer"),
            (json!({ "instances": "x" }), "Instances is not a number"),
            (
                json!({ "instances": 3_000_000_000_i64 }),
                "Instances must be less than or equal to 2147483647",
            ),
            (
                json!({ "memory_in_mb": 0 }),
                "Memory in mb must be greater than 0",
            ),
            (
                json!({ "disk_in_mb": 0 }),
                "Disk in mb must be greater than 0",
            ),
            (
                json!({ "log_rate_limit_in_bytes_per_second": -2 }),
                "Log rate limit in bytes per second must be greater than or equal to -1",
            ),
            (json!({ "memory": 1 }), "Unknown field(s): 'memory'"),
        ];
        for (body, text) in cases {
            assert_eq!(scale(open(body)).expect_err(text).detail(), text);
        }
        let wanted = scale(open(json!({ "instances": 2, "memory_in_mb": null }))).expect("valid");
        assert_eq!(
            wanted.scaling,
            Scaling {
                instances: Some(2),
                ..Scaling::default()
            }
        );
    }

    #[test]
    fn updates_are_refused_in_ccs_words() {
        let cases = [
            (
                json!({ "command": "" }),
                "Command must be between 1 and 4096 characters",
            ),
            (json!({ "command": 1 }), "Command must be a string"),
            (
                json!({ "health_check": { "type": "tcp" } }),
                "Health check type must be \"port\", \"process\", or \"http\"",
            ),
            (
                json!({ "health_check": { "data": { "timeout": 0 } } }),
                "Health check timeout must be greater than or equal to 1",
            ),
            (
                json!({ "health_check": { "data": { "endpoint": "x y" } } }),
                "Health check endpoint must be a valid URI path",
            ),
            (
                json!({ "readiness_health_check": { "data": { "interval": "x" } } }),
                "Readiness health check interval is not a number",
            ),
        ];
        for (body, text) in cases {
            assert_eq!(update(open(body)).expect_err(text).detail(), text);
        }
    }

    #[test]
    fn null_and_absent_differ() {
        let change = update(open(json!({
            "command": null,
            "health_check": { "type": "http", "data": { "timeout": null, "endpoint": "/x" } },
        })))
        .expect("valid");
        assert_eq!((change.command, change.user), (Some(None), None));
        assert_eq!(change.health_check.timeout, Some(None));
        assert_eq!(change.health_check.interval, None);
        assert_eq!(change.health_check.endpoint, Some(Some("/x".to_owned())));
    }
}
