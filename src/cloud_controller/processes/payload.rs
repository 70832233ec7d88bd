//! Bodies and queries of processes.

use serde_json::Value;

use super::process::{CheckChange, CheckType, Scaling, is_uri_path};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Body, Fields, Invalid, ListQuery, ListRules, MetadataChange,
};

pub(super) const LIST: ListRules =
    ListRules::new(&["types", "space_guids", "organization_guids", "app_guids"]).extras(&["embed"]);

/// The list below an app.
pub(super) const LIST_OF_APP: ListRules = ListRules::new(&["types"]).extras(&["embed"]);

/// Parameters of one process.
pub(super) const SINGLE: &[&str] = &["embed"];

const LARGEST: i64 = i32::MAX as i64;
const INSTANCES: &str = "process_instances";

/// A checked `PATCH`; the inner `None` = null was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateProcess {
    pub command: Option<Option<String>>,
    pub user: Option<Option<String>>,
    pub health_check: CheckChange,
    pub readiness_check: CheckChange,
    pub metadata: MetadataChange,
    /// As given, for the audit event.
    pub request: Value,
}

/// Whether `embed=process_instances` was given.
pub(super) fn embeds_instances(query: &ListQuery) -> ApiResult<bool> {
    let values = query.values("embed").unwrap_or_default();
    for (i, value) in values.iter().enumerate() {
        if value != INSTANCES {
            return Err(ApiError::bad_query(format!(
                "Invalid embedded resource: '{value}'. Valid embedded resources are: '{INSTANCES}'"
            )));
        }
        if values[..i].contains(value) {
            return Err(ApiError::bad_query(format!(
                "Duplicate embedded resource: '{value}'"
            )));
        }
    }
    Ok(!values.is_empty())
}

/// `PATCH /v3/processes/:guid`.
pub(super) fn update(mut body: Body) -> ApiResult<UpdateProcess> {
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

/// `POST /v3/processes/:guid/actions/scale`, with the request for the audit event.
pub(super) fn scale(mut body: Body) -> ApiResult<(Scaling, Value)> {
    let request = body.as_given();
    let Body { fields, invalid } = &mut body;
    let scale = Scaling {
        instances: number(fields, "instances", ("instances", 0, LARGEST), invalid).flatten(),
        memory: number(
            fields,
            "memory_in_mb",
            ("memory_in_mb", 1, LARGEST),
            invalid,
        )
        .flatten(),
        disk: number(fields, "disk_in_mb", ("disk_in_mb", 1, LARGEST), invalid).flatten(),
        log_rate_limit: {
            let name = "log_rate_limit_in_bytes_per_second";
            number(fields, name, (name, -1, i64::MAX), invalid).flatten()
        },
    };
    body.finish()?;
    Ok((scale, request))
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
        number(
            &mut data,
            key,
            (&format!("{name}_{key}"), 1, LARGEST),
            invalid,
        )
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

/// A whole number within limits, as (name in texts, least, most).
fn number(
    fields: &mut Fields,
    key: &str,
    (name, least, most): (&str, i64, i64),
    invalid: &mut Invalid,
) -> Option<Option<i64>> {
    let given = fields.nullable(key)?;
    if given.is_null() {
        return Some(None);
    }
    let Some(number) = given.as_i64() else {
        invalid.field(
            name,
            if given.is_number() {
                "must be an integer"
            } else {
                "is not a number"
            },
        );
        return None;
    };
    if number < least {
        let fault = match least {
            1 if !name.contains("health_check") => "must be greater than 0".to_owned(),
            _ => format!("must be greater than or equal to {least}"),
        };
        invalid.field(name, &fault);
    }
    if number > most {
        invalid.field(name, &format!("must be less than or equal to {most}"));
    }
    Some(Some(number))
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
        let (wanted, _) =
            scale(open(json!({ "instances": 2, "memory_in_mb": null }))).expect("valid");
        assert_eq!(
            wanted,
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
