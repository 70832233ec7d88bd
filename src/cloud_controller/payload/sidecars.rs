//! Bodies and queries of sidecars.

use serde_json::Value;

use crate::cloud_controller::body::{Body, Whole};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules = ListRules::new(&[]).without_labels();

/// A validated create or update; `None` = not in the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct SidecarChange {
    pub name: Option<String>,
    pub command: Option<String>,
    pub process_types: Option<Vec<String>>,
    /// `Some(None)` = null in the request.
    pub memory: Option<Option<i64>>,
}

/// `POST /v3/apps/:guid/sidecars`.
pub(crate) fn create(mut body: Body) -> Result<SidecarChange> {
    let name = body.required_string("name");
    let command = body.required_string("command");
    let process_types = process_types(&mut body, Presence::Required);
    let memory = memory(&mut body);
    check_lengths(&mut body, name.as_deref(), command.as_deref());
    body.finish()?;
    Ok(SidecarChange {
        name,
        command,
        process_types,
        memory,
    })
}

/// `PATCH /v3/sidecars/:guid`.
pub(crate) fn update(mut body: Body) -> Result<SidecarChange> {
    let mut given = |name: &str| {
        let value = body.fields.nullable(name)?;
        let text = value
            .as_str()
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned);
        if text.is_none() {
            let fault = if value.is_string() || value.is_null() {
                "can't be blank"
            } else {
                "must be a string"
            };
            body.invalid.field(name, fault);
        }
        text
    };
    let (name, command) = (given("name"), given("command"));
    let process_types = process_types(&mut body, Presence::Optional);
    let memory = memory(&mut body);
    check_lengths(&mut body, name.as_deref(), command.as_deref());
    body.finish()?;
    Ok(SidecarChange {
        name,
        command,
        process_types,
        memory,
    })
}

/// Whether a field has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

fn process_types(body: &mut Body, presence: Presence) -> Option<Vec<String>> {
    let value = body.fields.nullable("process_types");
    if value.is_none() && presence == Presence::Optional {
        return None;
    }
    let Some(Value::Array(values)) = value else {
        body.invalid.field("process_types", "must be an array");
        return None;
    };
    if values.is_empty() {
        body.invalid
            .field("process_types", "must have at least 1 process_type");
    }
    let types: Vec<String> = values
        .iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    if types.len() < values.len() {
        body.invalid
            .field("process_types", "must be a list of strings");
    }
    for kind in &types {
        body.invalid.check_control("process_types", kind);
    }
    Some(types)
}

fn memory(body: &mut Body) -> Option<Option<i64>> {
    let Body { fields, invalid } = body;
    fields.nullable_whole("memory_in_mb", Whole::above(0), invalid)
}

fn check_lengths(body: &mut Body, name: Option<&str>, command: Option<&str>) {
    for (field, text, longest) in [("name", name, 255), ("command", command, 4096)] {
        if text.is_some_and(|text| text.chars().count() > longest) {
            body.invalid.field(
                field,
                &format!("is too long (maximum is {longest} characters)"),
            );
        }
    }
    // It is part of the sidecar's log lines.
    body.invalid.check_control("name", name.unwrap_or_default());
}

/// A sidecar to create.
#[derive(Debug, Clone)]
pub(crate) struct NewSidecar {
    pub name: String,
    pub command: String,
    pub process_types: Vec<String>,
    /// MB.
    pub memory: Option<i64>,
    /// `user` or `buildpack`.
    pub origin: &'static str,
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
    fn faults_are_reported_in_ccs_words() {
        let cases = [
            (
                json!({ "command": "c", "process_types": ["web"] }),
                "Name can't be blank",
            ),
            (
                json!({ "name": "n", "process_types": ["web"] }),
                "Command can't be blank",
            ),
            (
                json!({ "name": "n", "command": "c" }),
                "Process types must be an array",
            ),
            (
                json!({ "name": "n", "command": "c", "process_types": [] }),
                "Process types must have at least 1 process_type",
            ),
            (
                json!({ "name": "n", "command": "c", "process_types": ["web"], "memory_in_mb": 0 }),
                "Memory in mb must be greater than 0",
            ),
        ];
        for (body, text) in cases {
            assert_eq!(create(open(body)).expect_err(text).detail(), text);
        }
        let change = update(open(json!({ "memory_in_mb": null }))).expect("valid");
        assert_eq!((change.memory, change.name), (Some(None), None));
        assert_eq!(
            update(open(json!({ "name": "" })))
                .expect_err("blank")
                .detail(),
            "Name can't be blank"
        );
    }
}
