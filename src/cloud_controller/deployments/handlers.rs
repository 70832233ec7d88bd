//! Requests on deployments.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::deployment::Deployment;
use super::{actions, payload, presenter, store};
use crate::base::guid::DeploymentGuid;
use crate::cloud_controller::apps::{self, App};
use crate::cloud_controller::desired::Snapshots;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery, Metadata, ResourceType,
    Urls,
};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let guids = found.rows.iter().map(|one| one.guid.as_str());
            let metadata = Metadata::of_all(tx, ResourceType::Deployment, guids)?;
            Ok::<_, ApiError>(Json(found.present(
                &query,
                &urls,
                "/v3/deployments",
                |one| presenter::present(one, metadata.of(one.guid.as_str()), &urls),
            )?))
        })
        .await
}

/// A deployment the caller sees, and its app.
fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &DeploymentGuid,
) -> ApiResult<(App, Deployment)> {
    let missing = || ApiError::not_found("Deployment");
    let deployment = store::find_visible(tx, caller, guid)?.ok_or_else(missing)?;
    let app = apps::store::find(tx, &deployment.app_guid)?.ok_or_else(missing)?;
    Ok((app, deployment))
}

/// The same for those who may steer it; to others it is not there.
fn get_steerable(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &DeploymentGuid,
) -> ApiResult<(App, Deployment)> {
    let found = get_visible(tx, caller, guid)?;
    match caller.may_support_space(tx, &found.0.space_guid) {
        Ok(()) => Ok(found),
        Err(_) => Err(ApiError::not_found("Deployment")),
    }
}

fn present_one(tx: &ReadTx<'_>, deployment: &Deployment, urls: &Urls) -> ApiResult<Json<Value>> {
    let metadata = Metadata::load(tx, ResourceType::Deployment, deployment.guid.as_str())?;
    Ok(Json(presenter::present(deployment, &metadata, urls)))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<DeploymentGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let (_, deployment) = get_visible(tx, &caller, &guid)?;
            present_one(tx, &deployment, &urls)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::create(body)?;
    let (recorder, snapshots) = (ctx.recorder(), Snapshots::of(&ctx.cc));
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let app = match &wanted.app {
                Some(guid) => apps::store::find_visible(tx, &caller, guid)?,
                None => None,
            };
            let usable = app.filter(|app| caller.may_support_space(tx, &app.space_guid).is_ok());
            let app = usable.ok_or_else(|| {
                ApiError::unprocessable(
                    "Unable to use app. Ensure that the app exists and you have access to it.",
                )
            })?;
            let deployment = super::create::create(tx, &recorder, &snapshots, app, wanted)?;
            Ok::<_, ApiError>((StatusCode::CREATED, present_one(tx, &deployment, &urls)?))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<DeploymentGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, deployment) = get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &app.space_guid)?;
            let metadata = payload::update(body)?;
            let deployment = actions::update(tx, &recorder, deployment, &metadata)?;
            present_one(tx, &deployment, &urls)
        })
        .await
}

pub(super) async fn cancel(
    ctx: Context,
    Path(guid): Path<DeploymentGuid>,
) -> ApiResult<StatusCode> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, deployment) = get_steerable(tx, &caller, &guid)?;
            actions::cancel(tx, &recorder, app, deployment)?;
            Ok::<_, ApiError>(StatusCode::OK)
        })
        .await
}

pub(super) async fn proceed(
    ctx: Context,
    Path(guid): Path<DeploymentGuid>,
) -> ApiResult<StatusCode> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, deployment) = get_steerable(tx, &caller, &guid)?;
            actions::proceed(tx, &recorder, &app, deployment)?;
            Ok::<_, ApiError>(StatusCode::OK)
        })
        .await
}
