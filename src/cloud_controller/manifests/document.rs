//! The YAML around the apps.

use serde_json::{Map, Value};

use crate::cloud_controller::v3::{ApiError, ApiResult};

/// The apps of a manifest, as JSON objects.
pub(super) fn applications(text: &str) -> ApiResult<Vec<Map<String, Value>>> {
    let parse = |cause: serde_yaml_ng::Error| ApiError::parse(format!("invalid YAML: {cause}"));
    let mut yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).map_err(parse)?;
    yaml.apply_merge().map_err(parse)?;
    let json: Value = serde_yaml_ng::from_value(yaml).map_err(parse)?;
    let Value::Object(mut document) = json else {
        return Err(ApiError::unprocessable(
            "Cannot parse manifest with no 'applications' field.",
        ));
    };
    match document.get("version") {
        None | Some(Value::Null) => {}
        Some(version) if *version == 1 => {}
        Some(_) => {
            return Err(ApiError::unprocessable(
                "Unsupported manifest schema version. Currently supported versions: [1].",
            ));
        }
    }
    match document.shift_remove("applications") {
        Some(Value::Array(apps)) if !apps.is_empty() => apps
            .into_iter()
            .map(|app| match app {
                Value::Object(app) => Ok(app),
                _ => Err(ApiError::unprocessable(
                    "Applications must be a list of objects.",
                )),
            })
            .collect(),
        _ => Err(ApiError::unprocessable(
            "Cannot parse manifest with no 'applications' field.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_merge_and_nonsense_is_refused() {
        let apps =
            applications("defaults: &d\n  memory: 64M\napplications:\n- name: a\n  <<: *d\n")
                .expect("valid");
        assert_eq!(apps[0]["memory"], "64M");
        for (text, start) in [
            (
                "applications: []",
                "Cannot parse manifest with no 'applications' field.",
            ),
            (
                "just text",
                "Cannot parse manifest with no 'applications' field.",
            ),
            (
                "version: 2\napplications:\n- name: a",
                "Unsupported manifest schema version.",
            ),
            ("a: [", "Request invalid due to parse error: invalid YAML"),
        ] {
            let refusal = applications(text).expect_err(text);
            assert!(refusal.detail().starts_with(start), "{}", refusal.detail());
        }
    }
}
