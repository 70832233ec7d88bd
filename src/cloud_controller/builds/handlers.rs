//! Requests on builds.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::{actions, payload, presenter, store};
use crate::base::guid::{AppGuid, BuildGuid};
use crate::cloud_controller::audit_events::Recorder;
use crate::cloud_controller::desired::Snapshots;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, JsonBody, ListQuery, ResourceType,
};
use crate::cloud_controller::{apps, packages};

const NO_PACKAGE: &str =
    "Unable to use package. Ensure that the package exists and you have access to it.";

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, None)?;
            found
                .try_present(&query, &urls, "/v3/builds", |b| {
                    presenter::present(tx, b, &urls)
                })
                .map(Json)
        })
        .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_OF_APP)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            apps::store::get_visible(tx, &caller, &app)?;
            let found = store::list_visible(tx, &caller, &query, Some(&app))?;
            let path = format!("/v3/apps/{app}/builds");
            found
                .try_present(&query, &urls, &path, |b| presenter::present(tx, b, &urls))
                .map(Json)
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<BuildGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let build = store::get_visible(tx, &caller, &guid)?;
            presenter::present(tx, &build, &urls).map(Json)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::create(body)?;
    let recorder = Recorder::of(&ctx);
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let (vault, snapshots) = (cc.vault().clone(), Snapshots::of(&cc));
    cc.db()
        .write(move |tx| {
            let package = packages::store::find_visible(tx, &caller, &wanted.package)?
                .ok_or_else(|| ApiError::unprocessable(NO_PACKAGE))?;
            caller
                .may_support_space(tx, &package.space_guid)
                .map_err(|_| ApiError::unprocessable(NO_PACKAGE))?;
            let app = apps::store::get_visible(tx, &caller, &package.app_guid)?;
            let parts = (&app, &package);
            let build =
                actions::create(tx, &recorder, &caller, (&vault, &snapshots), parts, wanted)?;
            Ok::<_, ApiError>((
                StatusCode::CREATED,
                Json(presenter::present(tx, &build, &urls)?),
            ))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<BuildGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let metadata = payload::update(body)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let build = store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &build.space_guid)?;
            metadata.store(tx, ResourceType::Build, guid.as_str())?;
            presenter::present(tx, &build, &urls).map(Json)
        })
        .await
}
