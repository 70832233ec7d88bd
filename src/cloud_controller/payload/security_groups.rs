//! Bodies and queries of security groups.

use serde_json::Value;

use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::security_groups::Switches;
use crate::cloud_controller::payload;
use crate::cloud_controller::query::{ListQuery, ListRules};

const LONGEST_NAME: usize = 250;

pub(crate) const LIST: ListRules =
    ListRules::new(&["names", "running_space_guids", "staging_space_guids"])
        .without_labels()
        .extras(&["globally_enabled_running", "globally_enabled_staging"]);
pub(crate) const LIST_OF_SPACE: ListRules = ListRules::new(&["names"]).without_labels();

/// A validated create or update; `None` keeps a value.
#[derive(Debug)]
pub(crate) struct GroupChange {
    pub name: Option<String>,
    /// JSON array.
    pub rules: Option<Value>,
    pub globally_running: Option<bool>,
    pub globally_staging: Option<bool>,
}

/// `POST /v3/security_groups`.
#[derive(Debug)]
pub(crate) struct CreateGroup {
    pub change: GroupChange,
    pub running_spaces: Vec<String>,
    pub staging_spaces: Vec<String>,
}

pub(crate) fn create(mut body: Body) -> Result<CreateGroup> {
    let given = body.as_given();
    if given
        .get("relationships")
        .and_then(Value::as_object)
        .is_some_and(serde_json::Map::is_empty)
    {
        body.invalid
            .add("Relationships 'relationships' must include one or more valid relationships");
    }
    let running_spaces = body.to_many("running_spaces").unwrap_or_default();
    let staging_spaces = body.to_many("staging_spaces").unwrap_or_default();
    let [] = body.optional_relationships([]);
    if given.get("name").is_none_or(Value::is_null) {
        body.invalid.field("name", "can't be blank");
    }
    Ok(CreateGroup {
        change: update(body)?,
        running_spaces,
        staging_spaces,
    })
}

/// `PATCH /v3/security_groups/:guid`.
pub(crate) fn update(mut body: Body) -> Result<GroupChange> {
    let name = body.limited_string("name", LONGEST_NAME);
    if name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        body.invalid
            .field("name", "is too short (minimum is 1 character)");
    }
    if name
        .as_deref()
        .is_some_and(|name| name.contains(char::is_control))
    {
        body.invalid
            .field("name", "must not contain control characters");
    }
    let rules = body.fields.nullable("rules");
    if let Some(rules) = &rules {
        payload::security_group_rules::check(rules, &mut body.invalid);
    }
    let (globally_running, globally_staging) = globally_enabled(&mut body);
    body.finish()?;
    Ok(GroupChange {
        name,
        rules,
        globally_running,
        globally_staging,
    })
}

/// `globally_enabled`: for running and for staging apps.
fn globally_enabled(body: &mut Body) -> (Option<bool>, Option<bool>) {
    let Some(value) = body.fields.take("globally_enabled") else {
        return (None, None);
    };
    let fault = match &value {
        Value::Object(map) if map.keys().any(|key| key != "running" && key != "staging") => {
            "only allows keys 'running' or 'staging'"
        }
        Value::Object(map) if !map.values().all(Value::is_boolean) => "values must be booleans",
        Value::Object(_) => {
            let switch = |name: &str| value.get(name).and_then(Value::as_bool);
            return (switch("running"), switch("staging"));
        }
        _ => "must be an object",
    };
    body.invalid.field("globally_enabled", fault);
    (None, None)
}

/// The list's filters by `globally_enabled_running` and `globally_enabled_staging`.
pub(crate) fn switches(query: &ListQuery) -> Result<Switches> {
    let switch = |name: &str, shown: &str| match query.raw(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Error::unprocessable(format!(
            "{shown} must be 'true' or 'false'"
        ))),
    };
    Ok(Switches {
        running: switch("globally_enabled_running", "Globally enabled running")?,
        staging: switch("globally_enabled_staging", "Globally enabled staging")?,
    })
}
