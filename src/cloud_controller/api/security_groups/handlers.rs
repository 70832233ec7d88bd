//! Requests on security groups.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::{SecurityGroupGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::security_groups::Lifecycle;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls};
use crate::cloud_controller::{actions, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::security_groups::LIST)
        .map_err(Error::as_unprocessable)?;
    let switches = payload::security_groups::switches(&query).map_err(Error::as_unprocessable)?;
    ctx.read(move |tx, ctx| {
        let found = model::security_groups::list_visible(tx, &ctx.caller, &query, switches)?;
        let bound = model::security_groups::bound(tx, &ctx.caller, &found.rows)?;
        let shown = presenter::present_all(&found.rows, &bound, &ctx.urls)?;
        let body = found.present_values(&query, &ctx.urls, "/v3/security_groups", shown)?;
        Ok(Json(body))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<SecurityGroupGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| present(tx, &ctx.caller, &guid, &ctx.urls))
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let may = ctx.may_administer()?;
    let wanted = payload::security_groups::create(body)?;
    ctx.write(move |tx, ctx| {
        let group = actions::security_groups::create(tx, &may, wanted)?;
        let body = present(tx, &ctx.caller, &group.guid, &ctx.urls)?;
        Ok((StatusCode::CREATED, body))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<SecurityGroupGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let group = model::security_groups::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_administer()?;
        actions::security_groups::update(tx, &may, group, payload::security_groups::update(body)?)?;
        present(tx, &ctx.caller, &guid, &ctx.urls)
    })
    .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<SecurityGroupGuid>,
) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        model::security_groups::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_administer()?;
        actions::security_groups::delete(tx, &may, &guid)?;
        let job = v3::jobs::record_complete(tx, "security_group.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn list_running(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    list_of_space(ctx, guid, query, Lifecycle::Running).await
}

pub(super) async fn list_staging(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    list_of_space(ctx, guid, query, Lifecycle::Staging).await
}

async fn list_of_space(
    ctx: Context,
    guid: SpaceGuid,
    query: Option<String>,
    lifecycle: Lifecycle,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::security_groups::LIST_OF_SPACE)
        .map_err(Error::as_unprocessable)?;
    ctx.read(move |tx, ctx| {
        model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        let found = model::security_groups::list_of_space(tx, &guid, lifecycle, &query)?;
        let mut bound = model::security_groups::bound(tx, &ctx.caller, &found.rows)?;
        // The answer names this space alone.
        for spaces in bound.values_mut() {
            spaces.retain(|(space, _)| *space == guid);
        }
        let path = format!("/v3/spaces/{guid}/{}_security_groups", lifecycle.as_str());
        let shown = presenter::present_all(&found.rows, &bound, &ctx.urls)?;
        Ok(Json(found.present_values(&query, &ctx.urls, &path, shown)?))
    })
    .await
}

fn present(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &SecurityGroupGuid,
    urls: &Urls,
) -> Result<Json<Value>> {
    let groups = [model::security_groups::get_visible(tx, caller, guid)?];
    let bound = model::security_groups::bound(tx, caller, &groups)?;
    presenter::present(&groups[0], &bound, urls).map(Json)
}
