//! Bodies and queries of stacks.

use serde_json::Value;

use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::{ListQuery, ListRules};

const LIST: ListRules = ListRules::new(&["names"])
    .order_by(&["name"])
    .extras(&["default"]);
const STATES: [&str; 4] = ["ACTIVE", "RESTRICTED", "DEPRECATED", "DISABLED"];
const LONGEST: usize = 250;
const LONGEST_REASON: usize = 5000;

/// `GET /v3/stacks`.
pub(crate) fn list(query: Option<&str>) -> Result<ListQuery> {
    let query = ListQuery::parse(query, &LIST)?;
    if query
        .raw("default")
        .is_some_and(|value| value != "true" && value != "false")
    {
        return Err(Error::bad_query("Default must be 'true' or 'false'"));
    }
    Ok(query)
}

/// `POST /v3/stacks`.
#[derive(Debug)]
pub(crate) struct CreateStack {
    pub name: String,
    pub description: Option<String>,
    pub state: String,
    pub state_reason: Option<String>,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

pub(crate) fn create(mut body: Body) -> Result<CreateStack> {
    let request = body.as_given();
    let name = body.required_string("name").unwrap_or_default();
    if name.chars().count() > LONGEST {
        body.invalid.field(
            "name",
            &format!("is too long (maximum is {LONGEST} characters)"),
        );
    }
    let description = body.limited_string("description", LONGEST);
    let state = state(&mut body, &request);
    let state_reason = body.limited_string("state_reason", LONGEST_REASON);
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreateStack {
        name: name.trim().to_owned(),
        description,
        state: state.unwrap_or_else(|| STATES[0].to_owned()),
        state_reason,
        metadata,
        request,
    })
}

/// `PATCH /v3/stacks/:guid`.
#[derive(Debug)]
pub(crate) struct StackChange {
    pub state: Option<String>,
    /// `Some(None)` = null in the request.
    pub state_reason: Option<Option<String>>,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

pub(crate) fn update(mut body: Body) -> Result<StackChange> {
    let request = body.as_given();
    let state = state(&mut body, &request);
    let reason = body.limited_string("state_reason", LONGEST_REASON);
    let metadata = body.metadata();
    body.finish()?;
    Ok(StackChange {
        state,
        state_reason: request.get("state_reason").is_some().then_some(reason),
        metadata,
        request,
    })
}

fn state(body: &mut Body, request: &Value) -> Option<String> {
    let given = body.fields.nullable("state");
    let state = given.as_ref().and_then(Value::as_str).map(str::to_owned);
    let known = state
        .as_deref()
        .is_some_and(|state| STATES.contains(&state));
    if request.get("state").is_some() && !known {
        body.invalid
            .field("state", &format!("must be one of {}", STATES.join(", ")));
    }
    state
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
    fn states_are_those_of_cloud_controller() {
        let fault = "State must be one of ACTIVE, RESTRICTED, DEPRECATED, DISABLED";
        for value in [json!("GONE"), Value::Null, json!(1)] {
            let refused = update(body(json!({ "state": value }))).expect_err("refused");
            assert_eq!(refused.detail(), fault);
            let refused =
                create(body(json!({ "name": "s", "state": value }))).expect_err("refused");
            assert_eq!(refused.detail(), fault);
        }
        let made = create(body(json!({ "name": "s" }))).expect("valid");
        assert_eq!(made.state, "ACTIVE");
        let change = update(body(json!({ "state_reason": null }))).expect("valid");
        assert_eq!((change.state, change.state_reason), (None, Some(None)));
    }

    #[test]
    fn only_state_and_metadata_change() {
        let refused = update(body(json!({ "name": "x" }))).expect_err("refused");
        assert_eq!(refused.detail(), "Unknown field(s): 'name'");
    }
}
