//! The YAML document around the apps.

use serde_json::{Map, Value};

use crate::base::yaml::{self, Node};
use crate::cloud_controller::error::{Error, Result};

/// Most places that are named per app.
const MOST_PLACES: usize = 10;

/// An app of a manifest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// Keys and values as JSON, with text keys.
    pub fields: Map<String, Value>,
    /// Keys of `env` that are not text in YAML.
    pub non_text_keys: Vec<NonTextKey>,
}

/// A key that is not text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NonTextKey {
    /// The key as text.
    pub key: String,
    /// Its line in the manifest as sent.
    pub line: usize,
}

/// The apps of a manifest, as JSON objects.
pub(crate) fn applications(text: &str) -> Result<Vec<Given>> {
    let document = yaml::read(text).map_err(|e| Error::parse(format!("invalid YAML: {e}")))?;
    let yaml::Value::Map(_) = document.value else {
        return Err(Error::parse("invalid request body"));
    };
    match document.get("version").map(|version| &version.value) {
        None | Some(yaml::Value::Null | yaml::Value::Bool(false) | yaml::Value::Integer(1)) => {}
        Some(yaml::Value::Float(number)) if (number - 1.0).abs() < f64::EPSILON => {}
        Some(_) => {
            return Err(Error::unprocessable(
                "Unsupported manifest schema version. Currently supported versions: [1].",
            ));
        }
    }
    match document.get("applications").map(|apps| &apps.value) {
        Some(yaml::Value::List(apps)) if !apps.is_empty() => apps.iter().map(given).collect(),
        _ => Err(Error::unprocessable(
            "Cannot parse manifest with no 'applications' field.",
        )),
    }
}

fn given(app: &Node) -> Result<Given> {
    let non_text_keys = app.get("env").map(non_text_keys).unwrap_or_default();
    match app.clone().into_json() {
        Value::Object(fields) => Ok(Given {
            fields,
            non_text_keys,
        }),
        _ => Err(Error::unprocessable(
            "Applications must be a list of objects.",
        )),
    }
}

fn non_text_keys(env: &Node) -> Vec<NonTextKey> {
    let yaml::Value::Map(pairs) = &env.value else {
        return Vec::new();
    };
    let odd = pairs.iter().filter(|(key, _)| key.as_text().is_none());
    let odd = odd.take(MOST_PLACES).map(|(key, _)| NonTextKey {
        key: key.clone().into_text(),
        line: key.line,
    });
    odd.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn anchors_merge_and_invalid_documents_are_refused() {
        let apps =
            applications("defaults: &d\n  memory: 64M\napplications:\n- name: a\n  <<: *d\n")
                .expect("valid");
        assert_eq!(apps[0].fields["memory"], "64M");
        for (text, start) in [
            (
                "applications: []",
                "Cannot parse manifest with no 'applications' field.",
            ),
            (
                "just text",
                "Request invalid due to parse error: invalid request body",
            ),
            (
                "version: 2\napplications:\n- name: a",
                "Unsupported manifest schema version.",
            ),
            ("a: [", "Request invalid due to parse error: invalid YAML"),
            (
                "applications:\n- name: a\n  env: !ruby/object:Object {}",
                "Request invalid due to parse error: invalid YAML: the tag !ruby/object:Object is not allowed at line 3",
            ),
        ] {
            let refusal = applications(text).expect_err(text);
            assert!(refusal.detail().starts_with(start), "{}", refusal.detail());
        }
    }

    #[test]
    fn nested_environment_keys_become_text_and_non_text_ones_are_reported() {
        let apps = applications(
            "applications:\n- name: a\n  env:\n    LIST: [x, 1, {true: z}]\n    true: 1\n    7: 2\n    ~: 3\n",
        );
        let app = &apps.expect("valid")[0];
        assert_eq!(app.fields["env"]["LIST"], json!(["x", 1, { "true": "z" }]));
        let places = app
            .non_text_keys
            .iter()
            .map(|odd| (odd.key.as_str(), odd.line));
        assert_eq!(places.collect::<Vec<_>>(), [("true", 5), ("7", 6), ("", 7)]);
    }
}
