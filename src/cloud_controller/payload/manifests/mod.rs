//! One app's part of a manifest, read and validated.

pub(crate) mod additions;
pub(crate) mod diff;
pub(crate) mod document;
pub(crate) mod processes;
pub(crate) mod routes;
mod secrets;
pub(crate) mod sizes;

use serde_json::{Map, Value};

use crate::cloud_controller::body::{Body, Invalid, has_control, place_of_nul};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::model::apps::{Feature, LifecycleChange, LifecycleType, Variables};
use crate::cloud_controller::payload;
use crate::cloud_controller::payload::environment_variable_groups::name_fault;
use crate::cloud_controller::payload::manifests::document::{Given, NonTextKey};
use crate::cloud_controller::payload::manifests::processes::RequestedProcess;
use crate::cloud_controller::payload::manifests::routes::RequestedRoutes;
use crate::cloud_controller::payload::route_options::Hashing;
use crate::cloud_controller::payload::sidecars::NewSidecar;
use crate::staging::HostCredentials;

/// The requested state of one app.
#[derive(Debug, Clone)]
pub(crate) struct AppManifest {
    pub name: String,
    pub lifecycle: LifecycleChange,
    pub metadata: MetadataChange,
    pub environment: Option<Variables>,
    pub processes: Vec<RequestedProcess>,
    pub routes: RequestedRoutes,
    pub features: Vec<(Feature, bool)>,
    pub sidecars: Vec<NewSidecar>,
    /// Service instances to bind.
    pub services: Vec<additions::RequestedService>,
    /// The request without secrets, for the audit event.
    pub given: Map<String, Value>,
}

/// The features that the platform's feature flags allow in a manifest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed {
    /// Why Docker apps are not allowed; `None` = allowed.
    pub docker: Option<String>,
    /// Why Cloud Native Buildpacks are not allowed; `None` = allowed.
    pub cnb: Option<String>,
    /// Whether hash-based routing is enabled.
    pub hashing: Hashing,
}

/// Reads all apps; 422 with the faults of all apps.
pub(crate) fn read(apps: Vec<Given>, allowed: &Allowed) -> Result<Vec<AppManifest>> {
    let mut manifests = Vec::new();
    let mut all = Vec::new();
    for (index, app) in apps.into_iter().enumerate() {
        let (manifest, faults) = one(app, allowed);
        let who = if manifest.name.is_empty() {
            format!("For application at index {index}")
        } else {
            format!("For application '{}'", manifest.name)
        };
        all.extend(faults.into_iter().map(|fault| format!("{who}: {fault}")));
        manifests.push(manifest);
    }
    if all.is_empty() {
        Ok(manifests)
    } else {
        Err(Error::unprocessable_all(all))
    }
}

fn one(given: Given, allowed: &Allowed) -> (AppManifest, Vec<String>) {
    let Given {
        fields: given,
        non_text_keys,
    } = given;
    let mut faults = character_faults(&given);
    let mut app = dashed(&given);
    let name = match app.shift_remove("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => name,
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(_) | Value::Null) | None => {
            faults.push("Name must not be empty".to_owned());
            String::new()
        }
        Some(_) => {
            faults.push("Name must be a string".to_owned());
            String::new()
        }
    };
    let manifest = AppManifest {
        name,
        processes: processes::read(&mut app, &mut faults),
        sidecars: additions::sidecars(&mut app, &mut faults),
        lifecycle: lifecycle(&mut app, allowed, &mut faults),
        metadata: metadata(&mut app, &mut faults),
        services: additions::services(&mut app, &mut faults),
        environment: environment(&mut app, &non_text_keys, &mut faults),
        routes: routes::read(&mut app, allowed.hashing, &mut faults),
        features: features(&mut app, &mut faults),
        given: secrets::hidden(given),
    };
    // As on CC, unknown keys are ignored.
    (manifest, faults)
}

/// Keys whose texts are names, which appear in image references, labels and log lines.
const NAMES: &[&str] = &["buildpack", "buildpacks", "stack", "docker"];

fn character_faults(app: &Map<String, Value>) -> Vec<String> {
    let whole = Value::Object(app.clone());
    let mut faults = Vec::new();
    if let Some(place) = place_of_nul(&whole) {
        faults.push(format!("{place} must not contain null characters"));
    }
    let mut check = |key: &str, value: Option<&Value>| {
        if value.is_some_and(has_control) {
            let key = shown(key);
            faults.push(format!("{key} must not contain control characters"));
        }
    };
    for key in NAMES {
        check(key, app.get(*key));
    }
    for process in entries(app, "processes") {
        check("process type", process.get("type"));
    }
    for sidecar in entries(app, "sidecars") {
        check("sidecar name", sidecar.get("name"));
        check("sidecar process types", sidecar.get("process_types"));
    }
    faults
}

fn entries<'a>(app: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Value> {
    app.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Keys in the form with dashes: `disk_quota` and `disk-quota` are the same.
pub(crate) fn dashed(given: &Map<String, Value>) -> Map<String, Value> {
    given
        .iter()
        .map(|(key, value)| (key.replace('_', "-"), value.clone()))
        .collect()
}

/// `health-check` → `Health check`, as in error texts.
pub(crate) fn shown(key: &str) -> String {
    let spaced = key.replace('-', " ");
    let mut letters = spaced.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn lifecycle(
    app: &mut Map<String, Value>,
    allowed: &Allowed,
    faults: &mut Vec<String>,
) -> LifecycleChange {
    let mut change = LifecycleChange {
        kind: lifecycle_type(app, allowed, faults),
        credentials: credentials(app, faults),
        ..LifecycleChange::default()
    };
    let single = app.shift_remove("buildpack");
    let several = app.shift_remove("buildpacks");
    if app.contains_key("docker") && (single.is_some() || several.is_some()) {
        faults.push("Cannot specify both buildpack(s) and docker keys".to_owned());
    }
    match (single, several) {
        (Some(_), Some(_)) => {
            faults.push("Buildpack and Buildpacks fields cannot be used together.".to_owned());
        }
        (Some(single), None) => match single {
            Value::Null => change.buildpacks = Some(Vec::new()),
            Value::String(name) if name == "default" || name == "null" => {
                change.buildpacks = Some(Vec::new());
            }
            Value::String(name) => {
                if !(1..=4096).contains(&name.chars().count()) {
                    faults.push("Buildpack must be between 1 and 4096 characters".to_owned());
                }
                change.buildpacks = Some(vec![name]);
            }
            _ => faults.push("Buildpack must be a string".to_owned()),
        },
        (None, Some(Value::Array(names))) => {
            let texts: Option<Vec<String>> = names
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect();
            match texts {
                Some(texts) => {
                    if texts
                        .iter()
                        .any(|text| !(1..=4096).contains(&text.chars().count()))
                    {
                        faults.push(
                            "Buildpacks entries must be between 1 and 4096 characters".to_owned(),
                        );
                    }
                    change.buildpacks = Some(texts);
                }
                None => faults.push("Buildpacks can only contain strings".to_owned()),
            }
        }
        (None, Some(Value::Null)) => change.buildpacks = Some(Vec::new()),
        (None, Some(_)) => faults.push("Buildpacks must be an array".to_owned()),
        (None, None) => {}
    }
    match app.shift_remove("stack") {
        None => {}
        Some(Value::Null) => change.stack = Some(None),
        Some(Value::String(stack)) => change.stack = Some(Some(stack)),
        Some(_) => faults.push("Stack must be a string".to_owned()),
    }
    change
}

fn credentials(
    app: &mut Map<String, Value>,
    faults: &mut Vec<String>,
) -> Option<Option<HostCredentials>> {
    let given = app.shift_remove("cnb-credentials")?;
    let mut invalid = Invalid::default();
    let credentials = payload::apps::credentials(given, &mut invalid);
    faults.extend(invalid.into_texts());
    credentials.map(Some)
}

fn lifecycle_type(
    app: &mut Map<String, Value>,
    allowed: &Allowed,
    faults: &mut Vec<String>,
) -> Option<LifecycleType> {
    let docker = app.contains_key("docker");
    // Other names are ignored; `docker` selects the Docker lifecycle.
    let named = app.shift_remove("lifecycle");
    let named = named.as_ref().and_then(Value::as_str);
    let named = named
        .and_then(LifecycleType::parse)
        .filter(|kind| *kind != LifecycleType::Docker);
    if docker && let Some(refusal) = &allowed.docker {
        faults.push(refusal.clone());
    }
    if named == Some(LifecycleType::Cnb)
        && let Some(refusal) = &allowed.cnb
    {
        faults.push(refusal.clone());
    }
    named.or(docker.then_some(LifecycleType::Docker))
}

fn metadata(app: &mut Map<String, Value>, faults: &mut Vec<String>) -> MetadataChange {
    let Some(value) = app.shift_remove("metadata") else {
        return MetadataChange::default();
    };
    let mut fields = Map::new();
    fields.insert("metadata".to_owned(), value);
    let mut body = Body::new(fields);
    let change = body.metadata();
    faults.extend(std::mem::take(&mut body.invalid).into_texts());
    change
}

fn environment(
    app: &mut Map<String, Value>,
    non_text_keys: &[NonTextKey],
    faults: &mut Vec<String>,
) -> Option<Variables> {
    let vars = match app.shift_remove("env")? {
        Value::Object(vars) => vars,
        Value::Null => return None,
        _ => {
            faults.push("Env must be an object of keys and values".to_owned());
            return None;
        }
    };
    if !non_text_keys.is_empty() {
        faults.push("Env key must be a string".to_owned());
    }
    // CC's text names neither the key nor its place.
    faults.extend(non_text_keys.iter().map(|NonTextKey { key, line }| {
        let key = if key.is_empty() { "null" } else { key };
        format!(
            "Env key at line {line} is {key} in YAML, where words such as y, yes and on mean true and n, no and off \
             mean false: put it in quotes"
        )
    }));
    let is_text = |name: &&String| !non_text_keys.iter().any(|odd| odd.key == **name);
    faults.extend(
        vars.keys()
            .filter(is_text)
            .filter_map(|name| name_fault(name))
            .map(|fault| format!("Env {fault}")),
    );
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Some(
        vars.into_iter()
            .map(|(name, value)| (name, Value::String(text(value))))
            .collect(),
    )
}

fn features(app: &mut Map<String, Value>, faults: &mut Vec<String>) -> Vec<(Feature, bool)> {
    let given = match app.shift_remove("features") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(given)) if !given.is_empty() => given,
        Some(_) => {
            faults.push("Features must be a map of valid feature names to booleans (true = enabled, false = disabled)".to_owned());
            return Vec::new();
        }
    };
    let mut features = Vec::new();
    for (name, value) in &given {
        match (Feature::parse(name), value.as_bool()) {
            (Some(feature), Some(on)) => features.push((feature, on)),
            _ => faults.push(
                "Features must be a map of valid feature names to booleans (true = enabled, false = disabled)".to_owned(),
            ),
        }
    }
    faults.dedup();
    features
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(fields: Map<String, Value>) -> Given {
        Given {
            fields,
            non_text_keys: Vec::new(),
        }
    }

    fn faults(value: Value) -> Vec<String> {
        match value {
            Value::Object(app) => one(of(app), &Allowed::default()).1,
            _ => panic!("no object"),
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn every_fault_is_reported() {
        let cases = [
            (json!({}), "Name must not be empty"),
            (
                json!({ "name": "a", "memory": "64" }),
                "Process \"web\": Memory must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB",
            ),
            (
                json!({ "name": "a", "instances": -1 }),
                "Process \"web\": Instances must be greater than or equal to 0",
            ),
            (
                json!({ "name": "a", "buildpack": "x", "buildpacks": ["y"] }),
                "Buildpack and Buildpacks fields cannot be used together.",
            ),
            (
                json!({ "name": "a", "env": { "PORT": 1 } }),
                "Env cannot set PORT",
            ),
            (
                json!({ "name": "a", "env": { "A=B": 1 } }),
                "Env key cannot contain '='",
            ),
            (
                json!({ "name": "a", "env": { "A": "x\0" } }),
                "env.A must not contain null characters",
            ),
            (
                json!({ "name": "a", "buildpacks": ["b\n"] }),
                "Buildpacks must not contain control characters",
            ),
            (
                json!({ "name": "a", "env": [] }),
                "Env must be an object of keys and values",
            ),
            (
                json!({ "name": "a", "routes": [{}] }),
                "Routes must be a list of route objects",
            ),
            (
                json!({ "name": "a", "routes": [{ "route": "x" }] }),
                "The route 'x' is not a properly formed URL",
            ),
            (
                json!({ "name": "a", "random-route": true, "default-route": true }),
                "Random-route and default-route may not be used together",
            ),
            (
                json!({ "name": "a", "processes": [{ "memory": "1G" }] }),
                "All Processes must specify a type",
            ),
            (
                json!({ "name": "a", "health-check-type": "ftp" }),
                "Process \"web\": Health check type must be \"port\", \"process\", or \"http\"",
            ),
            (
                json!({ "name": "a", "timeout": 0 }),
                "Process \"web\": Timeout must be greater than or equal to 1",
            ),
            (
                json!({ "name": "a", "instances": 2_000_001 }),
                "Process \"web\": Instances must be less than or equal to 2000000",
            ),
            (
                json!({ "name": "a", "docker": {}, "buildpack": "x" }),
                "Cannot specify both buildpack(s) and docker keys",
            ),
            (
                json!({ "name": "a", "sidecars": [{ "name": "s", "command": "c", "process_types": [] }] }),
                "Sidecar \"s\": Process types must have at least 1 process_type",
            ),
            (
                json!({ "name": "a", "sidecars": [{ "command": "c", "process_types": ["web"] }] }),
                "Sidecar name can't be blank",
            ),
            (
                json!({ "name": "a", "services": [{ "name": "s", "more": 1 }] }),
                "Services must be a list of service instances",
            ),
            (
                json!({ "name": "a", "features": {} }),
                "Features must be a map of valid feature names to booleans (true = enabled, false = disabled)",
            ),
            (
                json!({ "name": "a", "routes": [{ "route": "a.b", "protocol": "smtp" }] }),
                "Route protocol must be 'http1', 'http2' or 'tcp'.",
            ),
            (
                json!({ "name": "a", "routes": [{ "route": "a.b", "options": { "x": 1 } }] }),
                "Route 'a.b' contains invalid route option 'x'. Valid keys: 'loadbalancing'",
            ),
            (
                json!({ "name": "a", "routes": [{ "route": "a.b", "options": { "loadbalancing": "sun" } }] }),
                "Cannot use loadbalancing value 'sun' for Route 'a.b'; Valid values are: \
                 'round-robin, least-connection'",
            ),
        ];
        for (value, fault) in cases {
            assert_eq!(faults(value), [fault.to_owned()]);
        }
    }

    #[test]
    fn a_whole_app_is_read() {
        let app = json!({
            "name": "a", "memory": "64M", "disk_quota": "1G", "instances": 2, "command": null,
            "buildpacks": [], "env": { "A": 1, "B": true }, "default-route": true, "unknown": 1,
            "processes": [{ "type": "worker", "instances": 0, "health-check-type": "none" }],
        });
        let Value::Object(app) = app else {
            panic!("no object")
        };
        let (manifest, faults) = one(of(app), &Allowed::default());
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(manifest.processes.len(), 2);
        let web = &manifest.processes[0];
        assert_eq!(
            web.scaling.map(|s| (s.memory, s.disk, s.instances)),
            Some((Some(64), Some(1024), Some(2)))
        );
        assert_eq!(
            web.update.as_ref().and_then(|u| u.command.clone()),
            Some(None)
        );
        assert_eq!(manifest.lifecycle.buildpacks, Some(vec![]));
        assert_eq!(
            manifest.environment.as_ref().map(|e| e["B"].clone()),
            Some(json!("true"))
        );
        assert!(manifest.routes.default);
    }
}
