//! Makes an app on another platform: its manifest, its droplet or image, and its start.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::super::client::{Client, encode};
use super::super::{push, show};
use super::parcel::{Bits, Parcel};
use crate::base::yaml;

/// How long the first instance may take to start.
const START: Duration = Duration::from_secs(300);

/// What differs from the app's manifest there.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Routes instead of those it has.
    pub(super) routes: Vec<Value>,
    /// Services that it is not bound to.
    pub(super) without: Vec<String>,
    /// Buildpacks that do not exist.
    pub(super) unknown: Vec<String>,
}

/// Its manifest there.
pub(super) fn manifest(parcel: &Parcel, changes: &Changes) -> Map<String, Value> {
    let mut manifest = parcel.manifest.clone();
    manifest.remove("routes");
    if changes.routes.is_empty() {
        manifest.insert("no-route".to_owned(), json!(true));
    } else {
        manifest.insert("routes".to_owned(), json!(changes.routes));
    }
    let is_kept = |service: &Value| {
        let name = service.as_str().or_else(|| service["name"].as_str());
        !changes
            .without
            .iter()
            .any(|without| Some(without.as_str()) == name)
    };
    keep(&mut manifest, "services", is_kept);
    keep(&mut manifest, "buildpacks", |name| {
        !changes.unknown.iter().any(|unknown| name == unknown)
    });
    manifest
}

fn keep(manifest: &mut Map<String, Value>, key: &str, is_kept: impl Fn(&Value) -> bool) {
    if let Some(Value::Array(list)) = manifest.get_mut(key) {
        list.retain(is_kept);
        if list.is_empty() {
            manifest.remove(key);
        }
    }
}

/// A route of a manifest with another name.
pub(super) fn renamed(route: &Value, name: &str) -> Value {
    let mut route = route.clone();
    route["route"] = json!(name);
    route
}

/// Makes the app in a space; returns its guid.
pub(super) async fn carry(
    parcel: &Parcel,
    (from, to): (&Client, &Client),
    space: &str,
    changes: &Changes,
    step: &show::Step,
) -> anyhow::Result<String> {
    step.progress("manifest");
    let text = yaml::write(&json!({ "applications": [manifest(parcel, changes)] }));
    to.apply_manifest(space, text)
        .await
        .context("its manifest")?;
    let list = format!(
        "/v3/apps?space_guids={space}&names={}",
        encode(&parcel.name)
    );
    let app = to.first(&list).await?.context("the manifest made no app")?;
    let app = push::guid(&app)?;
    let droplet = match &parcel.bits {
        Bits::Droplet {
            guid,
            process_types,
        } => {
            step.progress("droplet");
            let bits = from
                .download(&format!("/v3/droplets/{guid}/download"))
                .await;
            let bits = bits.context("cannot download the droplet")?;
            let sent = upload(to, &app, process_types, bits).await;
            Some(sent.context("cannot upload the droplet")?)
        }
        Bits::Image(image) => {
            step.progress("image");
            Some(stage_image(to, &app, parcel, image).await?)
        }
        Bits::Nothing => None,
    };
    let Some(droplet) = droplet else {
        return Ok(app);
    };
    if parcel.is_started {
        step.progress("start");
        push::run(to, &app, &droplet).await?;
        push::wait_until_running(to, &app, START).await?;
    } else {
        push::assign(to, &app, &droplet).await?;
    }
    Ok(app)
}

async fn upload(
    client: &Client,
    app: &str,
    process_types: &BTreeMap<String, String>,
    bits: std::fs::File,
) -> anyhow::Result<String> {
    let body = json!({
        "relationships": { "app": { "data": { "guid": app } } },
        "process_types": process_types,
    });
    let droplet = push::guid(&client.post("/v3/droplets", &body).await?)?;
    client.upload_droplet(&droplet, bits).await?;
    push::wait_for_droplet(client, &droplet).await?;
    Ok(droplet)
}

async fn stage_image(
    client: &Client,
    app: &str,
    parcel: &Parcel,
    image: &str,
) -> anyhow::Result<String> {
    let user = parcel
        .manifest
        .get("docker")
        .and_then(|docker| docker["username"].as_str());
    let package = push::docker_package(client, app, image, user).await?;
    push::stage(client, &package).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_there_has_other_routes_and_only_what_exists() {
        let manifest_here = json!({
            "name": "web",
            "routes": [{ "route": "web.cf.localhost", "protocol": "http1" }],
            "services": ["db", { "name": "gone", "binding_name": "x" }],
            "buildpacks": ["own_buildpack"],
        });
        let parcel = Parcel {
            name: "web".to_owned(),
            lifecycle: "buildpack".to_owned(),
            manifest: manifest_here.as_object().cloned().expect("a map"),
            bits: Bits::Nothing,
            services: Vec::new(),
            is_started: true,
            processes: Vec::new(),
        };
        let mut changes = Changes {
            routes: vec![renamed(&manifest_here["routes"][0], "web.example.com")],
            without: vec!["gone".to_owned()],
            unknown: vec!["own_buildpack".to_owned()],
        };
        assert_eq!(
            Value::Object(manifest(&parcel, &changes)),
            json!({
                "name": "web",
                "routes": [{ "route": "web.example.com", "protocol": "http1" }],
                "services": ["db"],
            })
        );
        changes.routes.clear();
        assert_eq!(manifest(&parcel, &changes)["no-route"], true);
    }
}
