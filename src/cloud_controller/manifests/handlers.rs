//! Requests on manifests.

use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::apply::Applying;
use super::manifest::{Allowed, AppManifest};
use super::{diff, document, manifest, written};
use crate::base::guid::{AppGuid, SpaceGuid};
use crate::base::yaml;
use crate::cloud_controller::jobs::{self, Finished};
use crate::cloud_controller::v3::{ApiError, ApiResult, Caller, Context, Kind, YamlBody};
use crate::cloud_controller::{apps, feature_flags, spaces};
use crate::db::ReadTx;

/// Applies in two transactions: apps that are missing are there afterwards even when the rest of the
/// manifest cannot be applied, as on CC; the rest is done whole or not at all.
pub(super) async fn apply(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    YamlBody(text): YamlBody,
) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let vault = cc.vault().clone();
    let settings = cc.settings().clone();
    let prepared = cc
        .db()
        .write(move |tx| {
            let space = spaces::store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &guid)?;
            let manifests = read(tx, &caller, &text)?;
            let applying = Applying {
                recorder: &recorder,
                caller: &caller,
                vault: &vault,
                space: &space,
                system_domain: &settings.system_domain,
                default_stack: &settings.default_stack,
            };
            let mut pairs = Vec::new();
            for manifest in manifests {
                pairs.push((applying.prepare(tx, &manifest)?.guid, manifest));
            }
            Ok::<_, ApiError>((recorder, caller, vault, settings, space, pairs))
        })
        .await?;
    let (recorder, caller, vault, settings, space, pairs) = prepared;
    let (now, guids, place) = (recorder.now, recorder.guids.clone(), space.guid.clone());
    let applied: ApiResult<()> = cc
        .db()
        .write(move |tx| {
            let applying = Applying {
                recorder: &recorder,
                caller: &caller,
                vault: &vault,
                space: &space,
                system_domain: &settings.system_domain,
                default_stack: &settings.default_stack,
            };
            for (app, manifest) in &pairs {
                let app = apps::store::find(tx, app)?.ok_or_else(|| ApiError::not_found("App"))?;
                applying.apply(tx, app, manifest)?;
            }
            Ok(())
        })
        .await;
    cc.db()
        .write(move |tx| {
            let job = Finished {
                operation: "space.apply_manifest",
                resource: place.as_str(),
                result: applied,
            };
            let job = jobs::record(tx, job, now, &guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

/// The apps of a manifest, checked.
fn read(tx: &ReadTx<'_>, caller: &Caller, text: &str) -> ApiResult<Vec<AppManifest>> {
    manifest::read(document::applications(text)?, &allowed(tx, caller)?)
}

fn allowed(tx: &ReadTx<'_>, caller: &Caller) -> ApiResult<Allowed> {
    let refusal = |flag: &str| match feature_flags::require(tx, caller, flag) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == Kind::FeatureDisabled => Ok(Some(error.detail().to_owned())),
        Err(error) => Err(error),
    };
    Ok(Allowed {
        docker: refusal("diego_docker")?,
        cnb: refusal("diego_cnb")?,
        hashing: feature_flags::enabled(tx, "hash_based_routing")?,
    })
}

/// What applying would change.
pub(super) async fn diff(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    YamlBody(text): YamlBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let Context { cc, caller, .. } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .read(move |tx| {
            spaces::store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &guid)?;
            let documents = document::applications(&text)?;
            manifest::read(documents.clone(), &allowed(tx, &caller)?)?;
            let mut operations = Vec::new();
            for (index, wanted) in documents.iter().map(|app| &app.fields).enumerate() {
                let name = wanted
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let existing = match apps::store::find_by_name(tx, &guid, name)? {
                    Some(app) => written::application(tx, &vault, &app)?,
                    None => Map::new(),
                };
                operations.extend(diff::operations(index, wanted, &existing));
            }
            Ok::<_, ApiError>((StatusCode::CREATED, Json(json!({ "diff": operations }))))
        })
        .await
}

/// An app's manifest as YAML.
pub(super) async fn show(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Response> {
    let Context { cc, caller, .. } = ctx;
    let vault = cc.vault().clone();
    let application = cc
        .db()
        .read(move |tx| {
            let app = apps::store::get_visible(tx, &caller, &guid)?;
            caller.may_read_secrets(tx, &app.space_guid)?;
            written::application(tx, &vault, &app)
        })
        .await?;
    let document = json!({ "applications": [application] });
    let text = yaml::write(&document);
    Ok(([(header::CONTENT_TYPE, "application/x-yaml")], text).into_response())
}
