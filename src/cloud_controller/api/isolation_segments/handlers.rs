//! Requests on isolation segments.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::IsolationSegmentGuid;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, related};
use crate::cloud_controller::{actions, model, payload};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::isolation_segments::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::isolation_segments::list_visible(tx, &ctx.caller, &query)?;
        let shown = presenter::present_all(tx, &found.rows, &ctx.urls)?;
        let body = found.present_values(&query, &ctx.urls, "/v3/isolation_segments", shown)?;
        Ok(Json(body))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let segment = model::isolation_segments::get_visible(tx, &ctx.caller, &guid)?;
        presenter::present_from(tx, &segment, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let may = ctx.may_administer()?;
    let wanted = payload::isolation_segments::create(body)?;
    ctx.write(move |tx, ctx| {
        let segment = actions::isolation_segments::create(tx, &may, wanted)?;
        let body = presenter::present_from(tx, &segment, &ctx.urls)?;
        Ok((StatusCode::CREATED, Json(body)))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let may = ctx.may_administer()?;
    ctx.write(move |tx, ctx| {
        let segment = model::isolation_segments::get_visible(tx, &ctx.caller, &guid)?;
        let segment = actions::isolation_segments::update(
            tx,
            &may,
            segment,
            payload::isolation_segments::update(body)?,
        )?;
        presenter::present_from(tx, &segment, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
) -> ApiResult<StatusCode> {
    let may = ctx.may_administer()?;
    ctx.write(move |tx, ctx| {
        let segment = model::isolation_segments::get_visible(tx, &ctx.caller, &guid)?;
        actions::isolation_segments::delete(tx, &may, &segment)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

pub(super) async fn show_spaces(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        model::isolation_segments::get_visible(tx, &ctx.caller, &guid)?;
        let path = format!("/v3/isolation_segments/{guid}/relationships/spaces");
        let spaces = model::isolation_segments::spaces(tx, &ctx.caller, &guid)?;
        Ok(Json(related(&spaces, &ctx.urls, &path)))
    })
    .await
}
