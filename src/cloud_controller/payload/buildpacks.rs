//! Bodies and queries of buildpacks.

use serde_json::Value;

use crate::cloud_controller::body::{Body, Whole};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::{ListQuery, ListRules};

const LIST: ListRules = ListRules::new(&["stacks", "names"])
    .extras(&["lifecycle"])
    .order_by(&["position", "lifecycle"])
    .default_order(&["lifecycle", "position"]);

/// Longest name of a buildpack or a stack.
const LONGEST_NAME: usize = 250;

/// A requested change; `None` = not in the request.
#[derive(Debug)]
pub(crate) struct BuildpackChange {
    pub name: Option<String>,
    /// `Some(None)` = null in the request.
    pub stack: Option<Option<String>>,
    pub position: Option<i64>,
    pub enabled: Option<bool>,
    pub locked: Option<bool>,
    pub lifecycle: Option<String>,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

/// `GET /v3/buildpacks`.
pub(crate) fn list(query: Option<&str>) -> Result<ListQuery> {
    let query = ListQuery::parse(query, &LIST)?;
    if query
        .raw("lifecycle")
        .is_some_and(|kind| !is_lifecycle(kind))
    {
        return Err(Error::bad_query(
            "Lifecycle must be either \"buildpack\" or \"cnb\"",
        ));
    }
    Ok(query)
}

/// `POST /v3/buildpacks`.
pub(crate) fn create(mut body: Body) -> Result<BuildpackChange> {
    let request = body.as_given();
    let name = body.required_string("name");
    check_name(&mut body, name.as_deref());
    let stack = body.limited_string("stack", LONGEST_NAME).map(Some);
    let position = position(&mut body);
    let enabled = body.boolean("enabled");
    let locked = body.boolean("locked");
    let lifecycle = body.string("lifecycle");
    if lifecycle.as_deref().is_some_and(|kind| !is_lifecycle(kind)) {
        body.invalid
            .field("lifecycle", "must be either \"buildpack\" or \"cnb\"");
    }
    let metadata = body.metadata();
    body.finish()?;
    Ok(BuildpackChange {
        name,
        stack,
        position,
        enabled,
        locked,
        lifecycle,
        metadata,
        request,
    })
}

/// `PATCH /v3/buildpacks/:guid`.
pub(crate) fn update(mut body: Body) -> Result<BuildpackChange> {
    let request = body.as_given();
    let given = |name: &str| request.get(name).is_some();
    let name = body.string("name");
    check_name(&mut body, name.as_deref());
    let stack = body.limited_string("stack", LONGEST_NAME);
    let stack = given("stack").then_some(stack);
    let position = position(&mut body);
    if given("position") && request["position"].is_null() {
        body.invalid.field("position", "is not a number");
    }
    let enabled = body.boolean("enabled");
    let locked = body.boolean("locked");
    for name in ["enabled", "locked"] {
        if given(name) && request[name].is_null() {
            body.invalid.field(name, "must be a boolean");
        }
    }
    let metadata = body.metadata();
    body.finish()?;
    Ok(BuildpackChange {
        name,
        stack,
        position,
        enabled,
        locked,
        lifecycle: None,
        metadata,
        request,
    })
}

fn is_lifecycle(kind: &str) -> bool {
    matches!(kind, "buildpack" | "cnb")
}

fn check_name(body: &mut Body, name: Option<&str>) {
    let Some(name) = name else { return };
    if name.chars().count() > LONGEST_NAME {
        body.invalid.field(
            "name",
            &format!("is too long (maximum is {LONGEST_NAME} characters)"),
        );
    }
    let usable = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(usable) {
        body.invalid.field("name", "is invalid");
    }
}

fn position(body: &mut Body) -> Option<i64> {
    body.whole("position", Whole::at_least(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: Value) -> Body {
        match value {
            Value::Object(map) => Body::new(map),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn faults_of_new_buildpacks() {
        let cases = [
            (json!({}), "Name can't be blank"),
            (json!({ "name": "a b" }), "Name is invalid"),
            (
                json!({ "name": "x".repeat(251) }),
                "Name is too long (maximum is 250 characters)",
            ),
            (json!({ "name": "b", "stack": 4 }), "Stack must be a string"),
            (
                json!({ "name": "b", "position": 0 }),
                "Position must be greater than or equal to 1",
            ),
            (
                json!({ "name": "b", "enabled": "yes" }),
                "Enabled must be a boolean",
            ),
            (
                json!({ "name": "b", "lifecycle": "docker" }),
                "Lifecycle must be either \"buildpack\" or \"cnb\"",
            ),
            (
                json!({ "name": "b", "filename": "x" }),
                "Unknown field(s): 'filename'",
            ),
        ];
        for (value, fault) in cases {
            let refusal = create(body(value)).expect_err(fault);
            assert_eq!(refusal.detail(), fault);
        }
    }

    #[test]
    fn a_change_distinguishes_null_from_absent() {
        let change = update(body(json!({ "stack": null }))).expect("valid");
        assert_eq!(change.stack, Some(None));
        let change = update(body(json!({}))).expect("valid");
        assert_eq!(change.stack, None);
        for (value, fault) in [
            (json!({ "position": null }), "Position is not a number"),
            (json!({ "locked": null }), "Locked must be a boolean"),
            (
                json!({ "lifecycle": "cnb" }),
                "Unknown field(s): 'lifecycle'",
            ),
        ] {
            assert_eq!(update(body(value)).expect_err(fault).detail(), fault);
        }
    }
}
