//! What audit events show of a manifest.

use serde_json::{Map, Value};

use super::additions;
use crate::cloud_controller::model::apps::without_password;

/// An app of a manifest as audit events show it. Keys are as the user wrote them.
pub(super) fn hidden(mut given: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in &mut given {
        match key.replace('_', "-").as_str() {
            "env" | "cnb-credentials" => *value = Value::from("[PRIVATE DATA HIDDEN]"),
            "buildpack" => hide_password(value),
            "buildpacks" => value
                .as_array_mut()
                .into_iter()
                .flatten()
                .for_each(hide_password),
            _ => {}
        }
    }
    additions::hide_parameters(&mut given);
    given
}

fn hide_password(buildpack: &mut Value) {
    if let Value::String(url) = buildpack {
        *url = without_password(url);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_in_each_spelling() {
        let given = json!({
            "name": "web", "cnb_credentials": { "ghcr.io": { "password": "geheim" } },
            "cnb-credentials": { "a": "geheim" }, "env": { "A": "geheim" },
            "buildpack": "https://me:geheim@a.test/x", "buildpacks": ["https://me:geheim@a.test/y", "ruby"],
        });
        let Value::Object(given) = given else {
            panic!("a map")
        };
        let shown = Value::Object(hidden(given)).to_string();
        assert!(!shown.contains("geheim"), "{shown}");
        assert!(
            shown.contains("https://***:***@a.test/y") && shown.contains("ruby"),
            "{shown}"
        );
    }
}
