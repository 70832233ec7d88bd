//! The changes that a manifest would make, as JSON patch operations with the previous values.
//!
//! Only real changes are reported: a key that is not in the manifest stays as it is.

use serde_json::{Map, Value, json};

use crate::cloud_controller::payload;

/// Lists whose entries are identified by a field.
const IDENTIFIED: &[(&str, &str)] = &[
    ("processes", "type"),
    ("routes", "route"),
    ("sidecars", "name"),
];

/// The reported keys of an app. Memory and disk are reported for processes only.
const REPORTED: &[&str] = &[
    "name",
    "buildpack",
    "buildpacks",
    "command",
    "docker",
    "env",
    "features",
    "health-check-type",
    "health-check-http-endpoint",
    "health-check-invocation-timeout",
    "health-check-interval",
    "readiness-health-check-type",
    "readiness-health-check-http-endpoint",
    "readiness-health-check-invocation-timeout",
    "readiness-health-check-interval",
    "instances",
    "lifecycle",
    "log-rate-limit-per-second",
    "metadata",
    "no-route",
    "processes",
    "random-route",
    "default-route",
    "routes",
    "services",
    "sidecars",
    "stack",
    "timeout",
];

/// The reported keys of the entries of a list, or of an object.
const REPORTED_WITHIN: &[(&str, &[&str])] = &[
    (
        "processes",
        &[
            "type",
            "command",
            "user",
            "disk_quota",
            "log-rate-limit-per-second",
            "health-check-http-endpoint",
            "health-check-invocation-timeout",
            "health-check-interval",
            "health-check-type",
            "readiness-health-check-http-endpoint",
            "readiness-health-check-invocation-timeout",
            "readiness-health-check-interval",
            "readiness-health-check-type",
            "instances",
            "memory",
            "timeout",
        ],
    ),
    ("sidecars", &["name", "command", "process_types", "memory"]),
    ("services", &["name", "parameters"]),
    ("metadata", &["labels", "annotations"]),
];

/// The operations for one app; `existing` is its generated manifest, empty for a new app.
pub(crate) fn operations(
    index: usize,
    wanted: &Map<String, Value>,
    existing: &Map<String, Value>,
) -> Vec<Value> {
    let mut operations = Vec::new();
    let flat = with_web_process(existing);
    for (key, value) in wanted
        .iter()
        .filter(|(key, _)| REPORTED.contains(&key.as_str()))
    {
        let Some(value) = normal(key, value) else {
            continue;
        };
        let path = format!("/applications/{index}/{key}");
        let was = flat.get(key).unwrap_or(&Value::Null);
        match IDENTIFIED.iter().find(|(list, _)| list == key) {
            Some((_, identity)) if was.is_array() => {
                entries(&path, identity, was, &value, &mut operations);
            }
            _ => compare(&path, was, &value, &mut operations),
        }
    }
    operations
}

/// A value as in a generated manifest: known keys only, sizes in their usual units. `None` when it
/// has no known keys.
fn normal(key: &str, value: &Value) -> Option<Value> {
    let known = REPORTED_WITHIN.iter().find(|(name, _)| *name == key);
    let Some((_, keys)) = known else {
        return Some(size(key, value));
    };
    let kept = |value: &Value| match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter(|(key, _)| keys.contains(&key.as_str()));
            Value::Object(
                fields
                    .map(|(key, value)| (key.clone(), size(key, value)))
                    .collect(),
            )
        }
        other => other.clone(),
    };
    let nothing = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    match value {
        Value::Array(values) => {
            let values: Vec<Value> = values.iter().map(kept).collect();
            let empty = matches!(values.as_slice(), [only] if nothing(only));
            (!empty).then_some(Value::Array(values))
        }
        other => Some(kept(other)).filter(|value| !nothing(value)),
    }
}

/// A size in the units of a generated manifest; other values stay unchanged.
fn size(key: &str, value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return value.clone(),
    };
    match key {
        "memory" | "disk_quota" => match payload::manifests::sizes::megabytes(&text) {
            Ok(size) => json!(format!("{size}M")),
            Err(_) => value.clone(),
        },
        "log-rate-limit-per-second" => {
            match (text.as_str(), payload::manifests::sizes::bytes(&text)) {
                ("-1", _) => json!(-1),
                ("0", _) => json!(payload::manifests::sizes::written(0)),
                (_, Ok(size)) => json!(payload::manifests::sizes::written(size)),
                (_, Err(_)) => value.clone(),
            }
        }
        _ => value.clone(),
    }
}

/// The web process's fields are treated as the app's.
fn with_web_process(existing: &Map<String, Value>) -> Map<String, Value> {
    let mut flat = existing.clone();
    let processes = existing.get("processes").and_then(Value::as_array);
    let web = processes.and_then(|all| all.iter().find(|process| process["type"] == "web"));
    for (key, value) in web.and_then(Value::as_object).into_iter().flatten() {
        flat.entry(key.clone()).or_insert_with(|| value.clone());
    }
    flat
}

fn compare(path: &str, was: &Value, value: &Value, operations: &mut Vec<Value>) {
    match (was, value) {
        _ if was == value => {}
        (Value::Null, _) => operations.push(json!({ "op": "add", "path": path, "value": value })),
        (Value::Object(was), Value::Object(wanted)) => {
            // New values come first.
            let is_new = |key: &String| was.get(key).is_none_or(Value::is_null);
            let (new, known): (Vec<_>, Vec<_>) = wanted.iter().partition(|(key, _)| is_new(key));
            for (key, value) in new.into_iter().chain(known) {
                let old = was.get(key).unwrap_or(&Value::Null);
                compare(&format!("{path}/{}", escaped(key)), old, value, operations);
            }
        }
        _ => operations.push(json!({ "op": "replace", "path": path, "was": was, "value": value })),
    }
}

fn entries(path: &str, identity: &str, was: &Value, wanted: &Value, operations: &mut Vec<Value>) {
    let known = was.as_array().map(Vec::as_slice).unwrap_or_default();
    for (i, entry) in wanted.as_array().into_iter().flatten().enumerate() {
        let same = |other: &&Value| other[identity] == entry[identity];
        match known.iter().find(same) {
            Some(old) => compare(&format!("{path}/{i}"), old, entry, operations),
            None => operations
                .push(json!({ "op": "add", "path": format!("{path}/{i}"), "value": entry })),
        }
    }
}

/// A key as part of a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => panic!("no object"),
        }
    }

    #[test]
    fn sizes_are_compared_by_value_and_unknown_fields_are_ignored() {
        let existing = map(json!({
            "name": "a",
            "processes": [{
                "type": "web", "instances": 1, "memory": "1024M", "disk_quota": "1024M",
                "log-rate-limit-per-second": -1,
            }],
        }));
        let wanted = map(json!({
            "name": "a", "memory": "9G", "log-rate-limit-per-second": "-1", "services": [{ "foo": 1 }],
            "metadata": { "foo": 1 }, "sidecars": [{ "foo": 1 }],
            "processes": [{ "type": "web", "foo": 1, "memory": "2G", "disk_quota": "1G", "user": "vcap" }],
        }));
        assert_eq!(
            Value::from(operations(0, &wanted, &existing)),
            json!([
                { "op": "add", "path": "/applications/0/processes/0/user", "value": "vcap" },
                { "op": "replace", "path": "/applications/0/processes/0/memory", "was": "1024M", "value": "2048M" },
            ])
        );
    }

    #[test]
    fn only_changes_are_reported() {
        let existing = map(json!({
            "name": "a", "stack": "cflinuxfs4", "env": { "A": "1", "B": "2" },
            "processes": [{ "type": "web", "instances": 1, "memory": "64M" }],
            "routes": [{ "route": "a.example.com", "protocol": "http1" }],
        }));
        let wanted = map(json!({
            "name": "a", "env": { "A": "9", "C": "3" }, "instances": 2, "memory": "1G", "unknown": 1,
            "processes": [{ "type": "web", "instances": 1 }, { "type": "worker" }],
            "routes": [{ "route": "a.example.com" }, { "route": "b.example.com" }],
        }));
        assert_eq!(
            Value::from(operations(0, &wanted, &existing)),
            json!([
                { "op": "add", "path": "/applications/0/env/C", "value": "3" },
                { "op": "replace", "path": "/applications/0/env/A", "was": "1", "value": "9" },
                { "op": "replace", "path": "/applications/0/instances", "was": 1, "value": 2 },
                { "op": "add", "path": "/applications/0/processes/1", "value": { "type": "worker" } },
                { "op": "add", "path": "/applications/0/routes/1", "value": { "route": "b.example.com" } },
            ])
        );
    }
}
