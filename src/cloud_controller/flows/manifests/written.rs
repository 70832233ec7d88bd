//! An existing app's manifest.

use serde_json::{Map, Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::apps::{App, Feature, LifecycleType};
use crate::cloud_controller::model::processes::Process;
use crate::cloud_controller::{model, payload};
use crate::db::{ReadTx, Vault};

/// The app's entry of `applications`.
pub(crate) fn application(tx: &ReadTx<'_>, vault: &Vault, app: &App) -> Result<Map<String, Value>> {
    let mut all = Map::new();
    let mut add = |key: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::Array(values) => values.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !empty {
            all.insert(key.to_owned(), value);
        }
    };
    add("name", json!(app.name));
    add(
        "env",
        Value::Object(model::apps::environment(tx, vault, &app.guid)?),
    );
    add("lifecycle", json!(app.lifecycle.kind.as_str()));
    if app.lifecycle.kind == LifecycleType::Docker {
        add("docker", docker(tx, app)?);
    } else {
        add("buildpacks", json!(app.lifecycle.buildpacks));
        add("stack", json!(app.lifecycle.stack));
    }
    add(
        "features",
        Feature::ALL
            .iter()
            .map(|f| (f.name().to_owned(), json!(app.features.on(*f))))
            .collect(),
    );
    add("services", of_services(tx, app)?);
    add("routes", Value::Array(of_routes(tx, app)?));
    add("metadata", metadata(tx, app)?);
    let mut all_processes = model::processes::of_app(tx, &app.guid)?;
    all_processes.sort_by(|a, b| a.kind.cmp(&b.kind));
    add("processes", all_processes.iter().map(process).collect());
    add("sidecars", of_sidecars(tx, app)?);
    Ok(all)
}

/// The image of the current droplet's package, and who may pull it.
fn docker(tx: &ReadTx<'_>, app: &App) -> Result<Value> {
    let Some(image) = model::packages::current_image(tx, &app.guid)? else {
        return Ok(Value::Null);
    };
    let (image, username) = image;
    let mut shown = Map::from_iter([("image".to_owned(), json!(image))]);
    if let Some(username) = username {
        shown.insert("username".to_owned(), json!(username));
    }
    Ok(Value::Object(shown))
}

fn of_routes(tx: &ReadTx<'_>, app: &App) -> Result<Vec<Value>> {
    let mut shown = Vec::new();
    for route in model::routes::of_app(tx, &app.guid)? {
        let destinations = model::destinations::of_route(tx, &route.guid)?;
        for destination in destinations.iter().filter(|d| d.key.app_guid == app.guid) {
            let mut entry =
                json!({ "route": route.url(), "protocol": destination.protocol.as_str() });
            if !route.options.is_empty() {
                entry["options"] = json!(route.options);
            }
            shown.push(entry);
        }
    }
    shown.sort_by_key(|entry| entry["route"].as_str().unwrap_or_default().to_lowercase());
    Ok(shown)
}

/// Names of the bound instances, and of bindings that have one.
fn of_services(tx: &ReadTx<'_>, app: &App) -> Result<Value> {
    let mut shown: Vec<Value> = Vec::new();
    for binding in model::service_credential_bindings::of_app(tx, &app.guid)? {
        let entry = match &binding.name {
            Some(name) => json!({ "name": binding.instance_name, "binding_name": name }),
            None => json!(binding.instance_name),
        };
        if !shown.contains(&entry) {
            shown.push(entry);
        }
    }
    Ok(Value::Array(shown))
}

fn metadata(tx: &ReadTx<'_>, app: &App) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::App, app.guid.as_str())?;
    let mut shown = Map::new();
    for (key, values) in [
        ("labels", metadata.labels()),
        ("annotations", metadata.annotations()),
    ] {
        if !values.is_empty() {
            shown.insert(key.to_owned(), Value::Object(values.clone()));
        }
    }
    Ok(Value::Object(shown))
}

fn of_sidecars(tx: &ReadTx<'_>, app: &App) -> Result<Value> {
    let mut all = model::sidecars::of_app(tx, &app.guid)?;
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let shown = all.iter().map(|sidecar| {
        let mut entry = json!({
            "name": sidecar.name,
            "process_types": sidecar.process_types,
            "command": sidecar.command,
        });
        if let Some(memory) = sidecar.memory {
            entry["memory"] = json!(format!("{memory}M"));
        }
        entry
    });
    Ok(shown.collect())
}

fn process(process: &Process) -> Value {
    let (health, ready) = (&process.health_check, &process.readiness_check);
    let rate = match process.log_rate_limit {
        -1 => json!(-1),
        limit => json!(payload::manifests::sizes::written(limit)),
    };
    let fields = [
        ("type", json!(process.kind)),
        ("instances", json!(process.instances)),
        ("memory", json!(format!("{}M", process.memory))),
        ("disk_quota", json!(format!("{}M", process.disk))),
        ("log-rate-limit-per-second", rate),
        ("command", json!(process.command)),
        ("user", json!(process.user)),
        ("health-check-type", json!(health.kind.as_str())),
        ("health-check-http-endpoint", json!(health.endpoint)),
        (
            "health-check-invocation-timeout",
            json!(health.invocation_timeout),
        ),
        ("health-check-interval", json!(health.interval)),
        ("readiness-health-check-type", json!(ready.kind.as_str())),
        (
            "readiness-health-check-http-endpoint",
            json!(ready.endpoint),
        ),
        (
            "readiness-health-check-invocation-timeout",
            json!(ready.invocation_timeout),
        ),
        ("readiness-health-check-interval", json!(ready.interval)),
        ("timeout", json!(health.timeout)),
    ];
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
