//! Bodies and queries of tasks.

use serde_json::Value;

use crate::base::guid::{DropletGuid, ProcessGuid};
use crate::cloud_controller::body::{Body, Fields, Invalid, Whole};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules = ListRules::new(&[
    "names",
    "states",
    "app_guids",
    "organization_guids",
    "space_guids",
]);

/// The list below an app.
pub(crate) const LIST_OF_APP: ListRules = ListRules::new(&["names", "states", "sequence_ids"]);

/// A validated `POST /v3/apps/:guid/tasks`; `None` means the template's value or the default.
#[derive(Debug, Clone, Default)]
pub(crate) struct CreateTask {
    /// `Some(None)` = null in the request.
    pub name: Option<Option<String>>,
    pub command: Option<String>,
    /// `Some(None)` = null in the request: the droplet's user, whatever the template says.
    pub user: Option<Option<String>>,
    pub memory: Option<i64>,
    pub disk: Option<i64>,
    pub log_rate_limit: Option<i64>,
    pub droplet: Option<DropletGuid>,
    pub template: Option<ProcessGuid>,
    pub metadata: MetadataChange,
}

/// `POST /v3/apps/:guid/tasks`.
pub(crate) fn create(mut body: Body) -> Result<CreateTask> {
    let Body { fields, invalid } = &mut body;
    let name = match fields.nullable("name") {
        None => None,
        Some(Value::String(name)) => Some(Some(name)),
        Some(Value::Null) => Some(None),
        Some(other) => Some(Some(other.to_string())),
    };
    if let Some(Some(name)) = &name {
        invalid.check_control("name", name);
    }
    let mut task = CreateTask {
        name,
        disk: fields.whole("disk_in_mb", Whole::above(0), invalid),
        memory: fields.whole("memory_in_mb", Whole::above(0), invalid),
        log_rate_limit: fields.whole(
            "log_rate_limit_in_bytes_per_second",
            Whole::above(-2),
            invalid,
        ),
        ..CreateTask::default()
    };
    task.droplet = match fields.nullable("droplet_guid") {
        // No droplet has this guid.
        Some(Value::Null) => Some(DropletGuid::default()),
        given => guid(given, "droplet_guid", invalid).map(Into::into),
    };
    let template = fields.take("template");
    if let Some(template) = &template {
        let process = template.pointer("/process/guid").cloned();
        let process = process.unwrap_or(Value::Null);
        task.template = guid(Some(process), "template_process_guid", invalid).map(Into::into);
    }
    task.command = match fields.nullable("command") {
        Some(Value::String(command)) => Some(command),
        Some(Value::Null) if template.is_some() => Some(String::new()),
        Some(Value::Null) => {
            invalid.add("Command No command or template provided");
            None
        }
        Some(_) => {
            invalid.field("command", "must be a string");
            None
        }
        None => {
            if template.is_none() {
                invalid.add("Command No command or template provided");
            }
            None
        }
    };
    task.user = user(fields, invalid);
    task.metadata = body.metadata();
    body.finish()?;
    Ok(task)
}

fn user(fields: &mut Fields, invalid: &mut Invalid) -> Option<Option<String>> {
    match fields.nullable("user")? {
        Value::Null => Some(None),
        Value::String(user) => {
            if !(1..=255).contains(&user.chars().count()) {
                invalid.field("user", "must be between 1 and 255 characters");
            }
            Some(Some(user))
        }
        _ => {
            invalid.field("user", "must be a string");
            None
        }
    }
}

/// `PATCH /v3/tasks/:guid`: only metadata can change.
pub(crate) fn update(mut body: Body) -> Result<MetadataChange> {
    let metadata = body.metadata();
    body.finish()?;
    Ok(metadata)
}

fn guid(given: Option<Value>, name: &str, invalid: &mut Invalid) -> Option<String> {
    let given = given?;
    let Some(text) = given.as_str() else {
        invalid.field(name, "must be a string");
        return None;
    };
    if !(1..=200).contains(&text.chars().count()) {
        invalid.field(name, "must be between 1 and 200 characters");
    }
    Some(text.to_owned())
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
            (json!({}), "Command No command or template provided"),
            (
                json!({ "command": "c", "memory_in_mb": 0 }),
                "Memory in mb must be greater than 0",
            ),
            (
                json!({ "command": "c", "disk_in_mb": "x" }),
                "Disk in mb is not a number",
            ),
            (
                json!({ "command": "c", "log_rate_limit_in_bytes_per_second": -2 }),
                "Log rate limit in bytes per second must be greater than -2",
            ),
            (
                json!({ "command": "c", "droplet_guid": 7 }),
                "Droplet guid must be a string",
            ),
            (
                json!({ "template": { "process": {} } }),
                "Template process guid must be a string",
            ),
            (
                json!({ "command": "c", "user": "" }),
                "User must be between 1 and 255 characters",
            ),
            (
                json!({ "command": "c", "invalid": 1 }),
                "Unknown field(s): 'invalid'",
            ),
        ];
        for (body, text) in cases {
            assert_eq!(create(open(body)).expect_err(text).detail(), text);
        }
        let task = create(open(json!({ "template": { "process": { "guid": "p" } } })));
        assert_eq!(task.expect("valid").template, Some("p".into()));
    }
}
