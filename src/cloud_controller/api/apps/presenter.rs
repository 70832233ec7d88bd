//! JSON of an app and of what belongs to it.

use serde::Serialize;
use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DropletGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::apps::{
    App, Feature, Features, LifecycleType, Variables, without_password,
};
use crate::cloud_controller::v3::{Link, ToOne, Urls};
use crate::db::ReadTx;

/// An app with its metadata read from the database.
pub(crate) fn present_from(tx: &ReadTx<'_>, app: &App, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::App, app.guid.as_str())?;
    Ok(json!(present(app, &metadata, urls)))
}

/// The same of many.
pub(crate) fn present_all(tx: &ReadTx<'_>, apps: &[App], urls: &Urls) -> Result<Vec<Value>> {
    let guids = apps.iter().map(|app| app.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::App, guids)?;
    let shown = apps
        .iter()
        .map(|app| json!(present(app, metadata.of(app.guid.as_str()), urls)));
    Ok(shown.collect())
}

/// `/v3/apps/:guid`, in the order of its fields. Lists have many: typed, they are written at once.
#[derive(Serialize)]
pub(super) struct Presented<'a> {
    guid: &'a AppGuid,
    created_at: Timestamp,
    updated_at: Timestamp,
    name: &'a str,
    state: &'static str,
    lifecycle: Lifecycle<'a>,
    relationships: Relationships<'a>,
    metadata: &'a Metadata,
    links: Links,
}

#[derive(Serialize)]
struct Lifecycle<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: LifecycleData<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum LifecycleData<'a> {
    Nothing {},
    Buildpacks {
        buildpacks: Vec<String>,
        stack: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        credentials: Option<&'static str>,
    },
}

#[derive(Serialize)]
struct Relationships<'a> {
    space: ToOne<'a>,
    current_droplet: ToOne<'a>,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    itself: Link,
    environment_variables: Link,
    space: Link,
    processes: Link,
    packages: Link,
    current_droplet: Link,
    droplets: Link,
    tasks: Link,
    start: Link,
    stop: Link,
    clear_buildpack_cache: Link,
    revisions: Link,
    deployed_revisions: Link,
    features: Link,
}

/// What is shown of an app.
pub(super) fn present<'a>(app: &'a App, metadata: &'a Metadata, urls: &Urls) -> Presented<'a> {
    Presented {
        guid: &app.guid,
        created_at: app.created_at,
        updated_at: app.updated_at,
        name: &app.name,
        state: app.state.as_str(),
        lifecycle: Lifecycle {
            kind: app.lifecycle.kind.as_str(),
            data: lifecycle_data(app),
        },
        relationships: Relationships {
            space: ToOne::to(Some(app.space_guid.as_str())),
            current_droplet: ToOne::to(app.current_droplet_guid.as_ref().map(DropletGuid::as_str)),
        },
        metadata,
        links: links(app, urls),
    }
}

fn lifecycle_data(app: &App) -> LifecycleData<'_> {
    if app.lifecycle.kind == LifecycleType::Docker {
        return LifecycleData::Nothing {};
    }
    let buildpacks = app.lifecycle.buildpacks.iter();
    LifecycleData::Buildpacks {
        buildpacks: buildpacks.map(|one| without_password(one)).collect(),
        stack: app.lifecycle.stack.as_deref(),
        credentials: app.lifecycle.has_credentials.then_some("***"),
    }
}

fn links(app: &App, urls: &Urls) -> Links {
    let path = urls.to(&format!("/v3/apps/{}", app.guid));
    let below = |name: &str| Link::to(format!("{path}/{name}"));
    let action = |name: &str| Link::to(format!("{path}/actions/{name}")).by("POST");
    Links {
        environment_variables: below("environment_variables"),
        space: Link::to(urls.to(&format!("/v3/spaces/{}", app.space_guid))),
        processes: below("processes"),
        packages: below("packages"),
        current_droplet: below("droplets/current"),
        droplets: below("droplets"),
        tasks: below("tasks"),
        start: action("start"),
        stop: action("stop"),
        clear_buildpack_cache: action("clear_buildpack_cache"),
        revisions: below("revisions"),
        deployed_revisions: below("revisions/deployed"),
        features: below("features"),
        itself: Link::to(path),
    }
}

/// `/v3/apps/:guid/environment_variables`.
pub(super) fn variables(guid: &AppGuid, variables: &Variables, urls: &Urls) -> Value {
    let path = format!("/v3/apps/{guid}");
    json!({
        "var": variables,
        "links": {
            "self": urls.link(&format!("{path}/environment_variables")),
            "app": urls.link(&path),
        },
    })
}

/// `/v3/apps/:guid/relationships/current_droplet`.
pub(super) fn current_droplet(guid: &AppGuid, droplet: &DropletGuid, urls: &Urls) -> Value {
    let path = format!("/v3/apps/{guid}");
    json!({
        "data": { "guid": droplet },
        "links": {
            "self": urls.link(&format!("{path}/relationships/current_droplet")),
            "related": urls.link(&format!("{path}/droplets/current")),
        },
    })
}

/// `/v3/apps/:guid/features/:name`.
pub(super) fn feature(features: Features, feature: Feature) -> Value {
    json!({
        "name": feature.name(),
        "description": feature.description(),
        "enabled": features.on(feature),
    })
}

/// `/v3/apps/:guid/features`.
pub(super) fn features(guid: &AppGuid, features: Features, urls: &Urls) -> Value {
    let here = urls.link(&format!("/v3/apps/{guid}/features"));
    let resources: Vec<Value> = Feature::ALL
        .iter()
        .map(|one| feature(features, *one))
        .collect();
    json!({
        "resources": resources,
        "pagination": {
            "total_results": resources.len(),
            "total_pages": 1,
            "first": here,
            "last": here,
            "next": null,
            "previous": null,
        },
    })
}
