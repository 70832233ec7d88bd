//! Requests on packages, except uploads and downloads.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::{AppGuid, PackageGuid};
use crate::cloud_controller::actions::packages::CopySource;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::packages::{Package, PackageKind};
use crate::cloud_controller::query::{ListQuery, Listed};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls};
use crate::cloud_controller::{actions, model, payload, v3};
use crate::db::ReadTx;

const NO_APP: &str = "App is invalid. Ensure it exists and you have access to it.";
const NO_SOURCE: &str = "Source package is invalid. Ensure it exists and you have access to it.";

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::packages::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::packages::list_visible(tx, &ctx.caller, &query, None)?;
        page(tx, &found, &query, "/v3/packages", &ctx.urls)
    })
    .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::packages::LIST_OF_APP)?;
    ctx.read(move |tx, ctx| {
        model::apps::get_visible(tx, &ctx.caller, &app)?;
        let found = model::packages::list_visible(tx, &ctx.caller, &query, Some(&app))?;
        let path = format!("/v3/apps/{app}/packages");
        page(tx, &found, &query, &path, &ctx.urls)
    })
    .await
}

fn page(
    tx: &ReadTx<'_>,
    found: &Listed<Package>,
    query: &ListQuery,
    path: &str,
    urls: &Urls,
) -> Result<Json<ListBody>> {
    let guids = found.rows.iter().map(|package| package.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Package, guids)?;
    Ok(Json(found.present(query, urls, path, |package| {
        presenter::present_with(package, metadata.of(package.guid.as_str()), urls)
    })?))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<PackageGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let package = model::packages::get_visible(tx, &ctx.caller, &guid)?;
        presenter::present(tx, &package, &ctx.urls).map(Json)
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
    let wanted = payload::packages::create(body)?;
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let app = model::apps::find_visible(tx, &ctx.caller, &wanted.app)?
            .ok_or_else(|| Error::unprocessable(NO_APP))?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let package = actions::packages::create(tx, &may, &vault, &app, wanted)?;
        Ok((
            StatusCode::CREATED,
            Json(presenter::present(tx, &package, &ctx.urls)?),
        ))
    })
    .await
}

async fn copy(
    ctx: Context,
    query: Option<&str>,
    body: Body,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let (source, app) = payload::packages::copy(query, body)?;
    ctx.write(move |tx, ctx| {
        let app = model::apps::find_visible(tx, &ctx.caller, &app)?
            .ok_or_else(|| Error::unprocessable(NO_APP))?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let source = model::packages::find_visible(tx, &ctx.caller, &source)?
            .ok_or_else(|| Error::unprocessable(NO_SOURCE))?;
        let source = CopySource {
            may: &ctx.may_write(tx, &source.space_guid)?,
            package: &source,
        };
        let package = actions::packages::copy(tx, &may, source, &app)?;
        Ok((
            StatusCode::CREATED,
            Json(presenter::present(tx, &package, &ctx.urls)?),
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<PackageGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::packages::update(body)?;
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let package = model::packages::get_visible(tx, &ctx.caller, &guid)?;
        if change.has_credentials() && matches!(package.kind, PackageKind::Bits(_)) {
            return Err(Error::unprocessable(
                "Cannot update Docker credentials for a buildpack app.",
            ));
        }
        let may = ctx.may_write(tx, &package.space_guid)?;
        let package = actions::packages::update(tx, &may, &vault, &package, &change)?;
        presenter::present(tx, &package, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<PackageGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let package = model::packages::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &package.space_guid)?;
        actions::packages::delete(tx, &may, &package)?;
        let job = v3::jobs::record_complete(tx, "package.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}
