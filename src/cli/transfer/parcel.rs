//! An app with everything it needs elsewhere.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::super::client::{Client, encode, included};
use super::super::push;
use crate::base::{Bytes, yaml};

/// Annotations of these are about this platform.
const OWN: &str = "cflite.dev/";

/// An app as one platform has it.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) name: String,
    /// `buildpack`, `docker` or `cnb`.
    pub(super) lifecycle: String,
    /// Its entry in a manifest, as the API writes it.
    pub(super) manifest: Map<String, Value>,
    pub(super) bits: Bits,
    pub(super) services: Vec<Service>,
    pub(super) is_started: bool,
    /// Instances and memory in megabytes of each process.
    pub(super) processes: Vec<(i64, i64)>,
}

/// What it is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bits {
    Droplet {
        guid: String,
        process_types: BTreeMap<String, String>,
    },
    Image(String),
    /// It was never staged.
    Nothing,
}

/// A service that it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) guid: String,
    pub(super) name: String,
    /// Offering and plan; `None` = user-provided.
    pub(super) of: Option<(String, String)>,
}

impl Parcel {
    /// Reads an app.
    pub(super) async fn read(client: &Client, guid: &str) -> anyhow::Result<Self> {
        let app = client.get(&format!("/v3/apps/{guid}")).await?;
        let text = client.text(&format!("/v3/apps/{guid}/manifest")).await?;
        let mut manifest = entry(&text).context("the manifest that the API wrote")?;
        clean(&mut manifest);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lifecycle = text(&app["lifecycle"]["type"]);
        let bits = bits(client, guid, &lifecycle, &manifest).await?;
        Ok(Self {
            name: text(&app["name"]),
            bits,
            services: services(client, guid).await?,
            is_started: app["state"] == "STARTED",
            processes: processes(&manifest),
            manifest,
            lifecycle,
        })
    }

    /// The hosts of its routes, as the manifest has them.
    pub(super) fn routes(&self) -> Vec<&str> {
        let routes = self.manifest.get("routes").and_then(Value::as_array);
        let routes = routes.into_iter().flatten();
        routes.filter_map(|route| route["route"].as_str()).collect()
    }

    /// The texts of a list of the manifest.
    pub(super) fn list(&self, key: &str) -> Vec<&str> {
        let list = self.manifest.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// A text of the manifest.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.manifest.get(key).and_then(Value::as_str)
    }

    /// The memory that its instances have together, in megabytes.
    pub(super) fn memory(&self) -> i64 {
        let all = self.processes.iter();
        all.map(|(instances, memory)| instances * memory).sum()
    }
}

/// The one app of a manifest.
fn entry(text: &str) -> anyhow::Result<Map<String, Value>> {
    let mut document = yaml::read(text)?.into_json();
    match document.pointer_mut("/applications/0").map(Value::take) {
        Some(Value::Object(entry)) => Ok(entry),
        _ => bail!("it has no application"),
    }
}

/// Leaves out what is about the platform that wrote it.
fn clean(manifest: &mut Map<String, Value>) {
    for kind in ["annotations", "labels"] {
        let own = manifest
            .get_mut("metadata")
            .and_then(|all| all.get_mut(kind));
        if let Some(Value::Object(own)) = own {
            own.retain(|key, _| !key.starts_with(OWN));
        }
    }
    if let Some(Value::Object(metadata)) = manifest.get_mut("metadata") {
        metadata.retain(|_, values| values.as_object().is_none_or(|map| !map.is_empty()));
    }
    if manifest.get("metadata") == Some(&json!({})) {
        manifest.remove("metadata");
    }
}

async fn bits(
    client: &Client,
    guid: &str,
    lifecycle: &str,
    manifest: &Map<String, Value>,
) -> anyhow::Result<Bits> {
    let path = format!("/v3/apps/{guid}/droplets/current");
    let Some(droplet) = client.find(&path).await? else {
        return Ok(Bits::Nothing);
    };
    if lifecycle == "docker" {
        let image = manifest
            .get("docker")
            .and_then(|docker| docker["image"].as_str());
        let image = image.or_else(|| droplet["image"].as_str());
        return Ok(Bits::Image(
            image.context("the droplet names no image")?.to_owned(),
        ));
    }
    let types = droplet["process_types"].as_object();
    let types = types
        .into_iter()
        .flatten()
        .filter_map(|(kind, command)| Some((kind.clone(), command.as_str()?.to_owned())));
    Ok(Bits::Droplet {
        guid: push::guid(&droplet)?,
        process_types: types.collect(),
    })
}

async fn services(client: &Client, app: &str) -> anyhow::Result<Vec<Service>> {
    let path = format!(
        "/v3/service_credential_bindings?type=app&app_guids={app}&include=service_instance&per_page=5000"
    );
    let list = client.get(&path).await?;
    let mut found: Vec<Service> = Vec::new();
    for binding in list["resources"].as_array().into_iter().flatten() {
        let guid = &binding["relationships"]["service_instance"]["data"]["guid"];
        let instance = included(&list, "service_instances", guid);
        let one = service(client, instance.context("a binding without its service")?).await?;
        if !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

/// A service with its offering and plan.
pub(super) async fn service(client: &Client, instance: &Value) -> anyhow::Result<Service> {
    let plan = instance.pointer("/relationships/service_plan/data/guid");
    let of = match plan.and_then(Value::as_str) {
        None => None,
        Some(plan) => {
            let path = format!(
                "/v3/service_plans?guids={}&include=service_offering",
                encode(plan)
            );
            let list = client.get(&path).await?;
            let plan = list["resources"]
                .get(0)
                .context("a service without its plan")?;
            let offering = &plan["relationships"]["service_offering"]["data"]["guid"];
            let offering = included(&list, "service_offerings", offering);
            let offering = offering.context("a plan without its offering")?;
            let name = |of: &Value| of["name"].as_str().unwrap_or_default().to_owned();
            Some((name(offering), name(plan)))
        }
    };
    Ok(Service {
        guid: push::guid(instance)?,
        name: instance["name"].as_str().unwrap_or_default().to_owned(),
        of,
    })
}

fn processes(manifest: &Map<String, Value>) -> Vec<(i64, i64)> {
    let all = manifest.get("processes").and_then(Value::as_array);
    let all = all.into_iter().flatten().map(|process| {
        let memory = process["memory"].as_str().and_then(Bytes::parse_short);
        let instances = process["instances"].as_i64().unwrap_or(1);
        (instances, memory.map_or(1024, |memory| memory.0 >> 20))
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_platform_stays_behind() {
        let text = "applications:\n- name: a\n  metadata:\n    annotations: {cflite.dev/seeded: x, kept: y}\n  processes: [{type: web, instances: 2, memory: 64M}]\n";
        let mut manifest = entry(text).expect("an app");
        clean(&mut manifest);
        assert_eq!(
            manifest["metadata"],
            json!({ "annotations": { "kept": "y" } })
        );
        assert_eq!(processes(&manifest), [(2, 64)]);
        let text = "applications:\n- name: a\n  metadata: {annotations: {cflite.dev/seeded: x}}\n";
        let mut manifest = entry(text).expect("an app");
        clean(&mut manifest);
        assert_eq!(Value::Object(manifest), json!({ "name": "a" }));
        entry("applications: []").expect_err("no app");
    }
}
