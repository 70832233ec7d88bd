//! Environment variables in bodies: names are validated, null removes a variable.

use serde_json::{Map, Value};

use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;

/// `{"var": {"NAME": "value" or null}}`, checked with CC's rules for names.
pub(crate) fn environment_change(mut body: Body) -> Result<Map<String, Value>> {
    let mut change = Map::new();
    match body.fields.take("var") {
        Some(Value::Object(map)) => change = map,
        _ => body.invalid.field("var", "must be an object"),
    }
    for (name, value) in &change {
        if let Some(fault) = name_fault(name) {
            body.invalid.field("var", fault);
        } else if !value.is_string() && !value.is_null() {
            body.invalid.add(format!(
                "Non-string value in environment variable for key '{name}', value '{value}'"
            ));
        }
    }
    body.finish()?;
    Ok(change)
}

/// The fault of an environment variable's name (CC `EnvironmentVariablesValidator`). CC accepts the
/// last two, but no process can have such a variable.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    if name.is_empty() {
        Some("key must be a minimum length of 1")
    } else if upper.starts_with("VCAP_") {
        Some("cannot start with VCAP_")
    } else if upper.starts_with("VMC") {
        Some("cannot start with VMC_")
    } else if upper == "PORT" {
        Some("cannot set PORT")
    } else if name.contains('=') {
        Some("key cannot contain '='")
    } else if name.contains(char::is_control) {
        Some("key cannot contain control characters")
    } else {
        None
    }
}

/// Merges a change: null removes.
pub(crate) fn merge(vars: &mut Map<String, Value>, change: Map<String, Value>) {
    for (name, value) in change {
        if value.is_null() {
            vars.shift_remove(&name);
        } else {
            vars.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_values_are_checked() {
        let cases = [
            (
                json!({ "var": { "vcap_x": "1" } }),
                "Var cannot start with VCAP_",
            ),
            (json!({ "var": { "PORT": "1" } }), "Var cannot set PORT"),
            (
                json!({ "var": { "": "1" } }),
                "Var key must be a minimum length of 1",
            ),
            (
                json!({ "var": { "A=B": "1" } }),
                "Var key cannot contain '='",
            ),
            (
                json!({ "var": { "A\nB": null } }),
                "Var key cannot contain control characters",
            ),
            (
                json!({ "var": { "A": 1 } }),
                "Non-string value in environment variable for key 'A', value '1'",
            ),
            (json!({ "var": 1 }), "Var must be an object"),
            (json!({ "var": null }), "Var must be an object"),
        ];
        for (value, fault) in cases {
            let Value::Object(map) = value else {
                panic!("no object")
            };
            let refusal = environment_change(Body::new(map)).expect_err(fault);
            assert_eq!(refusal.detail(), fault);
        }
    }
}
