//! Requests on deployments.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::DeploymentGuid;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::deployments::Deployment;
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls};
use crate::cloud_controller::{flows, model, payload};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::deployments::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::deployments::list_visible(tx, &ctx.caller, &query)?;
        let guids = found.rows.iter().map(|one| one.guid.as_str());
        let metadata = Metadata::of_all(tx, ResourceType::Deployment, guids)?;
        Ok(Json(found.present(
            &query,
            &ctx.urls,
            "/v3/deployments",
            |one| presenter::present(one, metadata.of(one.guid.as_str()), &ctx.urls),
        )?))
    })
    .await
}

/// A deployment the caller sees, and its app.
fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &DeploymentGuid,
) -> Result<(App, Deployment)> {
    let missing = || Error::not_found("Deployment");
    let deployment = model::deployments::find_visible(tx, caller, guid)?.ok_or_else(missing)?;
    let app = model::apps::find(tx, &deployment.app_guid)?.ok_or_else(missing)?;
    Ok((app, deployment))
}

/// The same for those who may steer it; to others it is not there.
fn get_steerable(
    tx: &ReadTx<'_>,
    ctx: &Context,
    guid: &DeploymentGuid,
) -> Result<(MaySupport, App, Deployment)> {
    let (app, deployment) = get_visible(tx, &ctx.caller, guid)?;
    let may = ctx
        .may_support(tx, &app.space_guid)
        .map_err(|error| error.told_as(|| Error::not_found("Deployment")))?;
    Ok((may, app, deployment))
}

fn present_one(tx: &ReadTx<'_>, deployment: &Deployment, urls: &Urls) -> Result<Json<Value>> {
    let metadata = Metadata::load(tx, ResourceType::Deployment, deployment.guid.as_str())?;
    Ok(Json(presenter::present(deployment, &metadata, urls)))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<DeploymentGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let (_, deployment) = get_visible(tx, &ctx.caller, &guid)?;
        present_one(tx, &deployment, &ctx.urls)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::deployments::create(body)?;
    let snapshots = Snapshots::of(&ctx.cc);
    ctx.write(move |tx, ctx| {
        let unusable = || {
            Error::unprocessable(
                "Unable to use app. Ensure that the app exists and you have access to it.",
            )
        };
        let app = match &wanted.app {
            Some(guid) => model::apps::find_visible(tx, &ctx.caller, guid)?,
            None => None,
        };
        let app = app.ok_or_else(unusable)?;
        let may = ctx
            .may_support(tx, &app.space_guid)
            .map_err(|error| error.told_as(unusable))?;
        let deployment = flows::deployments::create::create(tx, &may, &snapshots, app, wanted)?;
        Ok((
            StatusCode::CREATED,
            present_one(tx, &deployment, &ctx.urls)?,
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<DeploymentGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let (app, deployment) = get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let metadata = payload::deployments::update(body)?;
        let deployment = flows::deployments::update(tx, &may, &app, deployment, &metadata)?;
        present_one(tx, &deployment, &ctx.urls)
    })
    .await
}

pub(super) async fn cancel(
    ctx: Context,
    Path(guid): Path<DeploymentGuid>,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let (may, app, deployment) = get_steerable(tx, ctx, &guid)?;
        flows::deployments::cancel(tx, &may, app, deployment)?;
        Ok(StatusCode::OK)
    })
    .await
}

pub(super) async fn proceed(
    ctx: Context,
    Path(guid): Path<DeploymentGuid>,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let (may, app, deployment) = get_steerable(tx, ctx, &guid)?;
        flows::deployments::proceed(tx, &may, &app, deployment)?;
        Ok(StatusCode::OK)
    })
    .await
}
