//! JSON of an app and of what belongs to it.

use serde_json::{Value, json};

use super::app::{App, Feature, Features, LifecycleType, Variables, without_password};
use crate::base::guid::{AppGuid, DropletGuid};
use crate::cloud_controller::v3::{ApiResult, Metadata, ResourceType, Urls};
use crate::db::ReadTx;

/// With its metadata read from the database.
pub(crate) fn present_from(tx: &ReadTx<'_>, app: &App, urls: &Urls) -> ApiResult<Value> {
    let metadata = Metadata::load(tx, ResourceType::App, app.guid.as_str())?;
    Ok(present(app, &metadata, urls))
}

/// `/v3/apps/:guid`.
pub(crate) fn present(app: &App, metadata: &Metadata, urls: &Urls) -> Value {
    json!({
        "guid": app.guid,
        "created_at": app.created_at,
        "updated_at": app.updated_at,
        "name": app.name,
        "state": app.state.as_str(),
        "lifecycle": { "type": app.lifecycle.kind.as_str(), "data": lifecycle_data(app) },
        "relationships": {
            "space": { "data": { "guid": app.space_guid } },
            "current_droplet": { "data": { "guid": app.current_droplet_guid } },
        },
        "metadata": metadata.present(),
        "links": links(app, urls),
    })
}

fn lifecycle_data(app: &App) -> Value {
    if app.lifecycle.kind == LifecycleType::Docker {
        return json!({});
    }
    let buildpacks: Vec<String> = app
        .lifecycle
        .buildpacks
        .iter()
        .map(|b| without_password(b))
        .collect();
    json!({ "buildpacks": buildpacks, "stack": app.lifecycle.stack })
}

fn links(app: &App, urls: &Urls) -> Value {
    let path = format!("/v3/apps/{}", app.guid);
    let below = |name: &str| urls.link(&format!("{path}/{name}"));
    let action = |name: &str| urls.action(&format!("{path}/actions/{name}"), "POST");
    json!({
        "self": urls.link(&path),
        "environment_variables": below("environment_variables"),
        "space": urls.link(&format!("/v3/spaces/{}", app.space_guid)),
        "processes": below("processes"),
        "packages": below("packages"),
        "current_droplet": below("droplets/current"),
        "droplets": below("droplets"),
        "tasks": below("tasks"),
        "start": action("start"),
        "stop": action("stop"),
        "clear_buildpack_cache": action("clear_buildpack_cache"),
        "revisions": below("revisions"),
        "deployed_revisions": below("revisions/deployed"),
        "features": below("features"),
    })
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
