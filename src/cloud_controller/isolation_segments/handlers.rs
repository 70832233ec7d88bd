//! Requests on isolation segments.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::{actions, payload, presenter, store};
use crate::base::guid::IsolationSegmentGuid;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, JsonBody, ListBody, ListQuery, related,
};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let shown = presenter::present_all(tx, &found.rows, &urls)?;
            let body = found.present_values(&query, &urls, "/v3/isolation_segments", shown)?;
            Ok::<_, ApiError>(Json(body))
        })
        .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let segment = store::get_visible(tx, &caller, &guid)?;
            presenter::present_from(tx, &segment, &urls).map(Json)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.caller.must_be_admin()?;
    let wanted = payload::create(body)?;
    let Context { cc, urls, now, .. } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            let segment = actions::create(tx, wanted, now, &guids)?;
            let body = presenter::present_from(tx, &segment, &urls)?;
            Ok((StatusCode::CREATED, Json(body)))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.caller.must_be_admin()?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .write(move |tx| {
            let segment = store::get_visible(tx, &caller, &guid)?;
            let segment = actions::update(tx, segment, payload::update(body)?, now)?;
            presenter::present_from(tx, &segment, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
) -> ApiResult<StatusCode> {
    ctx.caller.must_be_admin()?;
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let segment = store::get_visible(tx, &caller, &guid)?;
            actions::delete(tx, &segment)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

pub(super) async fn show_spaces(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            store::get_visible(tx, &caller, &guid)?;
            let path = format!("/v3/isolation_segments/{guid}/relationships/spaces");
            let spaces = store::spaces(tx, &caller, &guid)?;
            Ok::<_, ApiError>(Json(related(&spaces, &urls, &path)))
        })
        .await
}
