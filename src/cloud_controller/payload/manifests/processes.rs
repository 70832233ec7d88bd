//! The processes of an app in a manifest: at the app's level for `web`, or in `processes`.

use serde_json::{Map, Value};

use crate::cloud_controller::body::{MAX_DB_INT, Whole};
use crate::cloud_controller::model::processes::{CheckChange, CheckType, Scaling};
use crate::cloud_controller::payload;
use crate::cloud_controller::payload::processes::UpdateProcess;

/// A larger number of instances is treated as a mistake.
const MOST_INSTANCES: i64 = 2_000_000;

/// The requested state of one process.
#[derive(Debug, Clone)]
pub(crate) struct RequestedProcess {
    pub kind: String,
    pub update: Option<UpdateProcess>,
    pub scaling: Option<Scaling>,
}

/// Keys that update a process.
const UPDATE_KEYS: &[&str] = &[
    "command",
    "user",
    "timeout",
    "health-check-type",
    "health-check-http-endpoint",
    "health-check-invocation-timeout",
    "health-check-interval",
    "readiness-health-check-type",
    "readiness-health-check-http-endpoint",
    "readiness-health-check-invocation-timeout",
    "readiness-health-check-interval",
];
/// Keys that scale a process.
const SCALE_KEYS: &[&str] = &[
    "instances",
    "memory",
    "disk-quota",
    "log-rate-limit-per-second",
];

/// Reads the processes of one app; faults are added to `faults`. Keys are in their dashed form.
pub(crate) fn read(
    app: &mut Map<String, Value>,
    faults: &mut Vec<String>,
) -> Vec<RequestedProcess> {
    let mut requested = Vec::new();
    let mut level: Map<String, Value> = Map::new();
    for key in UPDATE_KEYS
        .iter()
        .chain(SCALE_KEYS)
        .filter(|key| **key != "user")
    {
        if let Some(value) = app.shift_remove(*key) {
            level.insert((*key).to_owned(), value);
        }
    }
    let listed = listed(app.shift_remove("processes"), faults);
    // A `web` entry in `processes` replaces the app's level.
    if !listed.iter().any(|(kind, _)| kind == "web") && !level.is_empty() {
        requested.push(process("web", &level, faults));
    }
    for (kind, given) in &listed {
        requested.push(process(kind, given, faults));
    }
    requested
}

fn listed(value: Option<Value>, faults: &mut Vec<String>) -> Vec<(String, Map<String, Value>)> {
    let values = match value {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(values)) => values,
        Some(_) => {
            faults.push("Processes must be an array of process configurations".to_owned());
            return Vec::new();
        }
    };
    let mut listed: Vec<(String, Map<String, Value>)> = Vec::new();
    let mut untyped = false;
    for value in values {
        let process = value
            .as_object()
            .map(payload::manifests::dashed)
            .unwrap_or_default();
        match process.get("type").and_then(Value::as_str) {
            Some(kind) if !kind.is_empty() => {
                if listed.iter().any(|(known, _)| known == kind) {
                    faults.push(format!("Process \"{kind}\" may only be present once"));
                }
                listed.push((kind.to_owned(), process));
            }
            _ => untyped = true,
        }
    }
    if untyped {
        faults.push("All Processes must specify a type".to_owned());
    }
    listed
}

fn process(kind: &str, given: &Map<String, Value>, faults: &mut Vec<String>) -> RequestedProcess {
    let mut found = Vec::new();
    let has = |keys: &[&str]| keys.iter().any(|key| given.contains_key(*key));
    let update = has(UPDATE_KEYS).then(|| update(given, &mut found));
    let scaling = has(SCALE_KEYS).then(|| scaling(given, &mut found));
    faults.extend(
        found
            .into_iter()
            .map(|fault| format!("Process \"{kind}\": {fault}")),
    );
    RequestedProcess {
        kind: kind.to_owned(),
        update,
        scaling,
    }
}

fn update(given: &Map<String, Value>, faults: &mut Vec<String>) -> UpdateProcess {
    let mut change = UpdateProcess {
        request: request(given, UPDATE_KEYS),
        ..UpdateProcess::default()
    };
    change.command = given.get("command").map(|value| match value {
        // `null`, "null" and "default" reset to the droplet's command.
        Value::Null => None,
        Value::String(text) if text == "null" || text == "default" => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    });
    if change.command.as_ref().is_some_and(|c| {
        c.as_ref()
            .is_some_and(|c| !(1..=4096).contains(&c.chars().count()))
    }) {
        faults.push("Command must be between 1 and 4096 characters".to_owned());
    }
    change.user = given
        .get("user")
        .map(|value| value.as_str().map(str::to_owned));
    match given.get("user") {
        None | Some(Value::Null) => {}
        Some(Value::String(user)) if (1..=255).contains(&user.chars().count()) => {}
        Some(Value::String(_)) => {
            faults.push("User must be between 1 and 255 characters".to_owned());
        }
        Some(_) => faults.push("User must be a string".to_owned()),
    }
    change.health_check = check(given, "health-check", faults);
    change.health_check.timeout = time(given, "timeout", faults);
    change.readiness_check = check(given, "readiness-health-check", faults);
    change
}

fn check(given: &Map<String, Value>, prefix: &str, faults: &mut Vec<String>) -> CheckChange {
    let shown = payload::manifests::shown(prefix);
    let mut change = CheckChange::default();
    if let Some(value) = given.get(&format!("{prefix}-type")) {
        // `none` is an old name of `process`.
        let text = value
            .as_str()
            .map(|text| if text == "none" { "process" } else { text });
        change.kind = text.and_then(CheckType::parse);
        if change.kind.is_none() {
            faults.push(format!(
                "{shown} type must be \"port\", \"process\", or \"http\""
            ));
        }
    }
    if let Some(value) = given.get(&format!("{prefix}-http-endpoint")) {
        match value.as_str() {
            Some(path) if path.starts_with('/') && !path.contains(char::is_whitespace) => {
                change.endpoint = Some(Some(path.to_owned()));
            }
            _ if value.is_null() => change.endpoint = Some(None),
            _ => faults.push(format!("{shown} http endpoint must be a valid URI path")),
        }
        if change.kind.is_some_and(|kind| kind != CheckType::Http) {
            faults.push(format!(
                "{shown} type must be \"http\" to set a health check HTTP endpoint"
            ));
        }
    }
    change.invocation_timeout = time(given, &format!("{prefix}-invocation-timeout"), faults);
    change.interval = time(given, &format!("{prefix}-interval"), faults);
    change
}

fn time(given: &Map<String, Value>, key: &str, faults: &mut Vec<String>) -> Option<Option<i64>> {
    let shown = payload::manifests::shown(key);
    match given.get(key)? {
        Value::Null => Some(None),
        value => match Whole::at_least(1).up_to(MAX_DB_INT).read(value) {
            Ok(number) => Some(Some(number)),
            Err(fault) => {
                faults.push(format!("{shown} {fault}"));
                None
            }
        },
    }
}

fn scaling(given: &Map<String, Value>, faults: &mut Vec<String>) -> Scaling {
    let mut scaling = Scaling::default();
    if let Some(value) = given.get("instances").filter(|value| !value.is_null()) {
        match Whole::at_least(0).up_to(MOST_INSTANCES).read(value) {
            Ok(number) => scaling.instances = Some(number),
            Err(fault) => faults.push(format!("Instances {fault}")),
        }
    }
    scaling.memory = size(given, "memory", "Memory", faults);
    scaling.disk = size(given, "disk-quota", "Disk quota", faults);
    scaling.log_rate_limit = log_rate_limit(given, faults);
    scaling
}

/// Megabytes of a size with unit.
fn size(
    given: &Map<String, Value>,
    key: &str,
    shown: &str,
    faults: &mut Vec<String>,
) -> Option<i64> {
    let text = not_blank(given.get(key)?)?;
    match payload::manifests::sizes::megabytes(&text) {
        Ok(0) => faults.push(format!("{shown} must be greater than 0MB")),
        Ok(size) => return Some(size),
        Err(fault) => faults.push(format!("{shown} {}", fault.text())),
    }
    None
}

fn log_rate_limit(given: &Map<String, Value>, faults: &mut Vec<String>) -> Option<i64> {
    let text = not_blank(given.get("log-rate-limit-per-second")?)?;
    match text.trim() {
        "-1" => Some(-1),
        "0" => Some(0),
        other => match payload::manifests::sizes::bytes(other) {
            Ok(bytes) => Some(bytes),
            Err(fault) => {
                faults.push(format!("Log rate limit per second {}", fault.text()));
                None
            }
        },
    }
}

/// A size as text; a blank value from a template means none (CC `byte_converter.rb`).
fn not_blank(value: &Value) -> Option<String> {
    let text = (!value.is_null()).then(|| text(value))?;
    (!text.trim().is_empty()).then_some(text)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn request(given: &Map<String, Value>, keys: &[&str]) -> Value {
    let kept = given.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    Value::Object(
        kept.map(|(key, value)| (key.replace('-', "_"), value.clone()))
            .collect(),
    )
}

impl RequestedProcess {
    /// The scaling as audit events show it.
    pub(crate) fn scaling_request(scaling: &Scaling) -> Value {
        let mut shown = Map::new();
        let fields = [
            ("instances", scaling.instances),
            ("memory_in_mb", scaling.memory),
            ("disk_in_mb", scaling.disk),
            ("log_rate_limit_in_bytes_per_second", scaling.log_rate_limit),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                shown.insert(name.to_owned(), value.into());
            }
        }
        Value::Object(shown)
    }
}
