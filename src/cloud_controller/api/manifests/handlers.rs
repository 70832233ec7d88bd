//! Requests on manifests.

use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::base::guid::{AppGuid, JobGuid, SpaceGuid};
use crate::base::yaml;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::flows::manifests::apply::Applying;
use crate::cloud_controller::model::jobs::Work;
use crate::cloud_controller::payload::manifests::{Allowed, AppManifest};
use crate::cloud_controller::v3::jobs::Finished;
use crate::cloud_controller::v3::{ApiResult, Context, YamlBody};
use crate::cloud_controller::{actions, flows, model, payload, v3};
use crate::db::ReadTx;

/// Applies in two transactions: apps that are missing are there afterwards even when the rest of the
/// manifest cannot be applied, as on CC; the rest is done whole or not at all.
pub(super) async fn apply(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    YamlBody(text): YamlBody,
) -> ApiResult<Response> {
    let vault = ctx.cc.vault().clone();
    let settings = ctx.cc.settings().clone();
    let prepared = ctx
        .write(move |tx, ctx| {
            let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
            let may = ctx.may_write(tx, &guid)?;
            let manifests = read(tx, &ctx.caller, &text)?;
            let applying = Applying {
                may: &may,
                caller: &ctx.caller,
                vault: &vault,
                space: &space,
                system_domain: &settings.system_domain,
                default_stack: &settings.default_stack,
            };
            let mut pairs = Vec::new();
            for manifest in manifests {
                pairs.push((applying.prepare(tx, &manifest)?.guid, manifest));
            }
            Ok((may, ctx.caller.clone(), vault, settings, space, pairs))
        })
        .await?;
    let (may, caller, vault, settings, space, pairs) = prepared;
    let place = space.guid.clone();
    let db = ctx.cc.db().clone();
    let applied: Result<Option<JobGuid>> = db
        .write(move |tx| {
            let applying = Applying {
                may: &may,
                caller: &caller,
                vault: &vault,
                space: &space,
                system_domain: &settings.system_domain,
                default_stack: &settings.default_stack,
            };
            for (app, manifest) in &pairs {
                let app = model::apps::find(tx, app)?.ok_or_else(|| Error::not_found("App"))?;
                applying.apply(tx, app, manifest)?;
            }
            flows::manifests::services::bind(tx, &applying, &pairs)
        })
        .await;
    ctx.write(move |tx, ctx| {
        let applied = match applied {
            // Brokers are asked first: the job is over when the last of them answered.
            Ok(Some(job)) => return Ok(v3::jobs::accepted(&job, &ctx.urls)),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let work = Work {
            operation: "space.apply_manifest",
            resource: place.as_str(),
        };
        let result = applied;
        let job = v3::jobs::record(tx, Finished { work, result }, &ctx.recorder())?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

/// The apps of a manifest, checked.
fn read(tx: &ReadTx<'_>, caller: &Caller, text: &str) -> Result<Vec<AppManifest>> {
    payload::manifests::read(
        payload::manifests::document::applications(text)?,
        &allowed(tx, caller)?,
    )
}

fn allowed(tx: &ReadTx<'_>, caller: &Caller) -> Result<Allowed> {
    let refusal = |flag: &str| match actions::feature_flags::require(tx, caller, flag) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == Kind::FeatureDisabled => Ok(Some(error.detail().to_owned())),
        Err(error) => Err(error),
    };
    Ok(Allowed {
        docker: refusal("diego_docker")?,
        cnb: refusal("diego_cnb")?,
        hashing: actions::feature_flags::enabled(tx, "hash_based_routing")?.into(),
    })
}

/// What applying would change.
pub(super) async fn diff(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    YamlBody(text): YamlBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let vault = ctx.cc.vault().clone();
    ctx.read(move |tx, ctx| {
        model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        ctx.may_write(tx, &guid)?;
        let documents = payload::manifests::document::applications(&text)?;
        payload::manifests::read(documents.clone(), &allowed(tx, &ctx.caller)?)?;
        let mut operations = Vec::new();
        for (index, wanted) in documents.iter().map(|app| &app.fields).enumerate() {
            let name = wanted
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let existing = match model::apps::find_by_name(tx, &guid, name)? {
                Some(app) => flows::manifests::written::application(tx, &vault, &app)?,
                None => Map::new(),
            };
            operations.extend(payload::manifests::diff::operations(
                index, wanted, &existing,
            ));
        }
        Ok((StatusCode::CREATED, Json(json!({ "diff": operations }))))
    })
    .await
}

/// An app's manifest as YAML.
pub(super) async fn show(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Response> {
    let vault = ctx.cc.vault().clone();
    let application = ctx
        .read(move |tx, ctx| {
            let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
            ctx.caller.may_read_secrets(tx, &app.space_guid)?;
            flows::manifests::written::application(tx, &vault, &app)
        })
        .await?;
    let document = json!({ "applications": [application] });
    let text = yaml::write(&document);
    Ok(([(header::CONTENT_TYPE, "application/x-yaml")], text).into_response())
}
