//! Requests on packages, except uploads and downloads.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::store::{Package, PackageKind};
use super::{actions, payload, presenter, store};
use crate::base::guid::{AppGuid, PackageGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Body, Context, JsonBody, ListBody, ListQuery, Listed, Metadata,
    ResourceType, Urls,
};
use crate::cloud_controller::{apps, jobs};
use crate::db::ReadTx;

const NO_APP: &str = "App is invalid. Ensure it exists and you have access to it.";
const NO_SOURCE: &str = "Source package is invalid. Ensure it exists and you have access to it.";

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, None)?;
            page(tx, &found, (&query, "/v3/packages"), &urls)
        })
        .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_OF_APP)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            apps::store::get_visible(tx, &caller, &app)?;
            let found = store::list_visible(tx, &caller, &query, Some(&app))?;
            let path = format!("/v3/apps/{app}/packages");
            page(tx, &found, (&query, &path), &urls)
        })
        .await
}

fn page(
    tx: &ReadTx<'_>,
    found: &Listed<Package>,
    (query, path): (&ListQuery, &str),
    urls: &Urls,
) -> ApiResult<Json<ListBody>> {
    let guids = found.rows.iter().map(|package| package.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Package, guids)?;
    Ok(Json(found.present(query, urls, path, |package| {
        presenter::present_with(package, metadata.of(package.guid.as_str()), urls)
    })?))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<PackageGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let package = store::get_visible(tx, &caller, &guid)?;
            presenter::present(tx, &package, &urls).map(Json)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    if query.as_deref().is_some_and(|query| !query.is_empty()) {
        return copy(ctx, query.as_deref(), body).await;
    }
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .write(move |tx| {
            let app = apps::store::find_visible(tx, &caller, &wanted.app)?
                .ok_or_else(|| ApiError::unprocessable(NO_APP))?;
            caller.may_write_space(tx, &app.space_guid)?;
            let package = actions::create(tx, &recorder, &vault, &app, wanted)?;
            Ok((
                StatusCode::CREATED,
                Json(presenter::present(tx, &package, &urls)?),
            ))
        })
        .await
}

async fn copy(
    ctx: Context,
    query: Option<&str>,
    body: Body,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let (source, app) = payload::copy(query, body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let app = apps::store::find_visible(tx, &caller, &app)?
                .ok_or_else(|| ApiError::unprocessable(NO_APP))?;
            caller.may_write_space(tx, &app.space_guid)?;
            let source = store::find_visible(tx, &caller, &source)?
                .ok_or_else(|| ApiError::unprocessable(NO_SOURCE))?;
            caller.may_write_space(tx, &source.space_guid)?;
            let package = actions::copy(tx, &recorder, &source, &app)?;
            Ok((
                StatusCode::CREATED,
                Json(presenter::present(tx, &package, &urls)?),
            ))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<PackageGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::update(body)?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .write(move |tx| {
            let package = store::get_visible(tx, &caller, &guid)?;
            if change.has_credentials() && matches!(package.kind, PackageKind::Bits(_)) {
                return Err(ApiError::unprocessable(
                    "Cannot update Docker credentials for a buildpack app.",
                ));
            }
            caller.may_write_space(tx, &package.space_guid)?;
            let package = actions::update(tx, &vault, &package, &change, now)?;
            presenter::present(tx, &package, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<PackageGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let package = store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &package.space_guid)?;
            actions::delete(tx, &recorder, &package)?;
            let job = jobs::record_complete(tx, "package.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}
