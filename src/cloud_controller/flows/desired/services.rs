//! What apps find of the service instances they are bound to: `VCAP_SERVICES`, or files.
//!
//! Of several bindings of one instance the newest counts. What is written down when a process is
//! started stays until it is started again.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::{App, Feature};
use crate::cloud_controller::model::service_credential_bindings::{CredentialBinding, Secrets};
use crate::cloud_controller::{actions, model::service_instances::ServiceInstance};
use crate::db::{ReadTx, Vault};
use crate::docker::bound_files::FILE;

/// Where files about bindings are.
const ROOT: &str = "/etc/cf-service-bindings";
/// Most bytes of paths and contents.
const LARGEST: usize = 1_000_000;
const LONGEST_NAME: usize = 253;

/// `VCAP_SERVICES` of an app: per offering, what its bindings give.
pub(crate) fn vcap_services(
    tx: &ReadTx<'_>,
    vault: &Vault,
    app: &App,
) -> Result<Map<String, Value>> {
    let mut all = Map::new();
    for (label, entry) in entries(tx, vault, app)? {
        let of_label = all.entry(label).or_insert_with(|| json!([]));
        if let Value::Array(of_label) = of_label {
            of_label.push(Value::Object(entry));
        }
    }
    Ok(all)
}

/// The variables about services, and files as `file:` and their path.
pub(crate) fn variables(
    tx: &ReadTx<'_>,
    vault: &Vault,
    app: &App,
) -> Result<Vec<(String, String)>> {
    let all = vcap_services(tx, vault, app)?;
    let mut variables = Vec::new();
    let mut add = |name: String, value: String| variables.push((name, value));
    let whole = Value::Object(all.clone()).to_string();
    if app.features.on(Feature::ServiceBindingK8s) {
        add("SERVICE_BINDING_ROOT".to_owned(), ROOT.to_owned());
        for (path, content) in tree(&all)? {
            add(format!("{FILE}{ROOT}/{path}"), content);
        }
    } else if app.features.on(Feature::FileBasedVcapServices) {
        let path = format!("{ROOT}/vcap_services");
        fits("vcap_services".len() + whole.len())?;
        add("VCAP_SERVICES_FILE_PATH".to_owned(), path.clone());
        add(format!("{FILE}{path}"), whole);
    } else {
        add("VCAP_SERVICES".to_owned(), whole);
    }
    if let Some(url) = database_url(&all) {
        add("DATABASE_URL".to_owned(), url);
    }
    Ok(variables)
}

/// `system_env_json` of an app.
pub(crate) fn system_environment(tx: &ReadTx<'_>, vault: &Vault, app: &App) -> Result<Value> {
    Ok(if app.features.on(Feature::ServiceBindingK8s) {
        json!({ "SERVICE_BINDING_ROOT": ROOT })
    } else if app.features.on(Feature::FileBasedVcapServices) {
        json!({ "VCAP_SERVICES_FILE_PATH": format!("{ROOT}/vcap_services") })
    } else {
        json!({ "VCAP_SERVICES": vcap_services(tx, vault, app)? })
    })
}

fn entries(tx: &ReadTx<'_>, vault: &Vault, app: &App) -> Result<Vec<(String, Map<String, Value>)>> {
    let all = model::service_credential_bindings::of_app(tx, &app.guid)?;
    let usable: Vec<&CredentialBinding> = all
        .iter()
        .filter(|binding| binding.create_succeeded())
        .collect();
    let newest = |binding: &&&CredentialBinding| {
        let later = usable.iter().rev();
        let mut same = later.filter(|other| other.instance_guid == binding.instance_guid);
        same.next().is_some_and(|other| other.guid == binding.guid)
    };
    let mut found = Vec::new();
    for binding in usable.iter().filter(newest) {
        let instance = model::service_instances::find(tx, &binding.instance_guid)?;
        let instance = instance.ok_or_else(|| Error::internal("a binding without its instance"))?;
        let secrets = model::service_credential_bindings::secrets(tx, vault, &binding.guid)?;
        found.push(entry(tx, binding, &instance, secrets)?);
    }
    Ok(found)
}

/// The label of a binding, and what it gives.
fn entry(
    tx: &ReadTx<'_>,
    binding: &CredentialBinding,
    instance: &ServiceInstance,
    secrets: Secrets,
) -> Result<(String, Map<String, Value>)> {
    let plan = actions::service_operations::plan_of(tx, instance)?;
    let name = binding.name.as_ref().filter(|name| !name.is_empty());
    let label = match &plan {
        Some(plan) => plan.offering.name.clone(),
        None => "user-provided".to_owned(),
    };
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| all.insert(name.to_owned(), value);
    add("label", json!(label));
    let mut tags = Vec::new();
    if let Some(plan) = &plan {
        add("provider", Value::Null);
        add("plan", json!(plan.name));
        tags.clone_from(&plan.offering.tags);
    }
    for tag in &instance.tags {
        if plan.is_none() || !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    add("name", json!(name.unwrap_or(&instance.name)));
    add("tags", json!(tags));
    add("instance_guid", json!(instance.guid));
    add("instance_name", json!(instance.name));
    add("binding_guid", json!(binding.guid));
    add("binding_name", json!(binding.name));
    add(
        "credentials",
        json!(secrets.credentials.unwrap_or_default()),
    );
    add("syslog_drain_url", json!(binding.syslog_drain_url));
    let mounts = secrets.volume_mounts.unwrap_or_default();
    add("volume_mounts", mounts.iter().map(shown_mount).collect());
    Ok((label, all))
}

/// Apps need to know where a volume is, not how it got there.
fn shown_mount(mount: &Value) -> Value {
    let shown = ["container_dir", "mode", "device_type"];
    let fields = shown
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), mount.get(name)?.clone())));
    Value::Object(fields.collect())
}

/// The first database among the bindings, with the scheme that Ruby knows.
fn database_url(services: &Map<String, Value>) -> Option<String> {
    let entries = services.values().filter_map(Value::as_array).flatten();
    let mut urls = entries.filter_map(|entry| entry["credentials"]["uri"].as_str());
    urls.find_map(|url| {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = match scheme {
            "mysql" | "mysql2" => "mysql2",
            "postgres" | "postgresql" => "postgres",
            _ => return None,
        };
        Some(format!("{scheme}://{rest}"))
    })
}

/// One folder for each binding, one file for each credential and attribute, as
/// <https://servicebinding.io> has it.
fn tree(services: &Map<String, Value>) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut folders = BTreeSet::new();
    let mut size = 0;
    for entry in services.values().filter_map(Value::as_array).flatten() {
        let name = entry["name"].as_str().unwrap_or_default();
        if !is_name(name, false) {
            return refuse(&format!(
                "Invalid binding name: '{name}'. Name must match /[a-z0-9\\-\\.]{{1,253}}/"
            ));
        }
        if !folders.insert(name.to_owned()) {
            return refuse(&format!("Duplicate binding name: '{name}'"));
        }
        for (key, content) in folder(entry) {
            if !is_name(&key, true) {
                return refuse(&format!(
                    "Invalid file name: '{key}'. Name must match /[a-z0-9\\-\\._]{{1,253}}/"
                ));
            }
            size += name.len() + 1 + key.len() + content.len();
            files.push((format!("{name}/{key}"), content));
        }
    }
    fits(size)?;
    Ok(files)
}

/// Files of one binding: attributes replace credentials of the same name.
fn folder(entry: &Value) -> Vec<(String, String)> {
    let mut all = Map::new();
    if let Some(credentials) = entry["credentials"].as_object() {
        all.extend(credentials.clone());
    }
    if let Some(attributes) = entry.as_object() {
        let own = attributes.iter().filter(|(key, _)| *key != "credentials");
        all.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    }
    for key in ["type", "provider"] {
        all.insert(key.to_owned(), entry["label"].clone());
    }
    let content = |value: Value| match value {
        Value::Null => None,
        Value::Array(all) if all.is_empty() => None,
        Value::Object(all) if all.is_empty() => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    all.into_iter()
        .filter_map(|(key, value)| Some((key, content(value)?)))
        .collect()
}

fn is_name(name: &str, underscores: bool) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'-' | b'.')
            || (underscores && byte == b'_')
    };
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(plain)
        && !matches!(name, "." | "..")
}

fn fits(size: usize) -> Result<()> {
    if size <= LARGEST {
        return Ok(());
    }
    Err(Error::unprocessable(format!(
        "Bindings exceed the maximum allowed bytesize of {LARGEST}"
    )))
}

fn refuse<T>(text: &str) -> Result<T> {
    Err(Error::unprocessable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(entries: Value) -> Map<String, Value> {
        let mut all = Map::new();
        all.insert("db".to_owned(), entries);
        all
    }

    #[test]
    fn the_first_database_is_the_database() {
        let table = [
            (json!([]), None),
            (json!([{ "credentials": { "uri": "amqp://x" } }]), None),
            (
                json!([{ "credentials": {} }, { "credentials": { "uri": "mysql://u:p@h/d" } }]),
                Some("mysql2://u:p@h/d"),
            ),
            (
                json!([{ "credentials": { "uri": "postgresql://h" } }, { "credentials": { "uri": "mysql://h" } }]),
                Some("postgres://h"),
            ),
        ];
        for (entries, expected) in table {
            assert_eq!(database_url(&services(entries)).as_deref(), expected);
        }
    }

    #[test]
    fn each_binding_is_a_folder_of_files() {
        let entry = json!({
            "label": "db", "name": "my-db", "tags": [], "plan": "small", "binding_name": null,
            "credentials": { "uri": "x://y", "plan": "other", "ports": [1], "nothing": {} },
        });
        let mut files = tree(&services(json!([entry]))).expect("files");
        files.sort();
        let expected = [
            ("my-db/label", "db"),
            ("my-db/name", "my-db"),
            ("my-db/plan", "small"),
            ("my-db/ports", "[1]"),
            ("my-db/provider", "db"),
            ("my-db/type", "db"),
            ("my-db/uri", "x://y"),
        ];
        assert_eq!(
            files,
            expected.map(|(path, content)| (path.to_owned(), content.to_owned()))
        );
        for (name, key) in [
            ("My-DB", "a"),
            ("..", "a"),
            ("a/b", "a"),
            ("ok", "A"),
            ("ok", "a/b"),
        ] {
            let entry = json!({ "label": "db", "name": name, "credentials": { key: "x" } });
            assert!(tree(&services(json!([entry]))).is_err(), "{name} {key}");
        }
        let twice = json!([{ "name": "a", "label": "x" }, { "name": "a", "label": "x" }]);
        assert!(tree(&services(twice)).is_err());
        let large =
            json!([{ "name": "a", "label": "x", "credentials": { "a": "x".repeat(LARGEST) } }]);
        assert!(tree(&services(large)).is_err());
    }
}
