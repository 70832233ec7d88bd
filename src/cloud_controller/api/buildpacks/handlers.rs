//! Requests on buildpacks, except uploads. Everybody who is signed in reads them; admins write.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::BuildpackGuid;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody};
use crate::cloud_controller::{actions, model, payload, v3};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = payload::buildpacks::list(query.as_deref())?;
    ctx.read(move |tx, ctx| {
        let found = model::buildpacks::list_all(tx, &query)?;
        let guids = found.rows.iter().map(|row| row.guid.as_str());
        let metadata = Metadata::of_all(tx, ResourceType::Buildpack, guids)?;
        Ok(Json(found.present(
            &query,
            &ctx.urls,
            "/v3/buildpacks",
            |b| presenter::present_with(b, metadata.of(b.guid.as_str()), &ctx.urls),
        )?))
    })
    .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<BuildpackGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let buildpack = model::buildpacks::get(tx, &guid)?;
        presenter::present(tx, &buildpack, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let may = ctx.may_administer()?;
    let change = payload::buildpacks::create(body)?;
    ctx.write(move |tx, ctx| {
        let buildpack = actions::buildpacks::create(tx, &may, change)?;
        let shown = presenter::present(tx, &buildpack, &ctx.urls)?;
        Ok((StatusCode::CREATED, Json(shown)))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<BuildpackGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let buildpack = model::buildpacks::get(tx, &guid)?;
        let may = ctx.may_administer()?;
        let change = payload::buildpacks::update(body)?;
        let buildpack = actions::buildpacks::update(tx, &may, buildpack, change)?;
        presenter::present(tx, &buildpack, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<BuildpackGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let buildpack = model::buildpacks::get(tx, &guid)?;
        let may = ctx.may_administer()?;
        actions::buildpacks::delete(tx, &may, &buildpack)?;
        let job = v3::jobs::record_complete(tx, "buildpack.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}
