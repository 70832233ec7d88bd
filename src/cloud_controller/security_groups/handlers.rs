//! Requests on security groups.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::store::Lifecycle;
use super::{actions, payload, presenter, store};
use crate::base::guid::{SecurityGroupGuid, SpaceGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery, Urls,
};
use crate::cloud_controller::{jobs, spaces};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query =
        ListQuery::parse(query.as_deref(), &payload::LIST).map_err(ApiError::as_unprocessable)?;
    let switches = payload::switches(&query).map_err(ApiError::as_unprocessable)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, switches)?;
            let bound = store::bound(tx, &caller, &found.rows)?;
            let shown = presenter::present_all(&found.rows, &bound, &urls)?;
            let body = found.present_values(&query, &urls, "/v3/security_groups", shown)?;
            Ok::<_, ApiError>(Json(body))
        })
        .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<SecurityGroupGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| present(tx, &caller, &guid, &urls))
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.caller.must_be_admin()?;
    let wanted = payload::create(body)?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            let group = actions::create(tx, wanted, now, &guids)?;
            let body = present(tx, &caller, &group.guid, &urls)?;
            Ok((StatusCode::CREATED, body))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<SecurityGroupGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .write(move |tx| {
            let group = store::get_visible(tx, &caller, &guid)?;
            caller.must_be_admin()?;
            actions::update(tx, group, payload::update(body)?, now)?;
            present(tx, &caller, &guid, &urls)
        })
        .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<SecurityGroupGuid>,
) -> ApiResult<Response> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            store::get_visible(tx, &caller, &guid)?;
            caller.must_be_admin()?;
            store::delete(tx, &guid)?;
            let job = jobs::record_complete(tx, "security_group.delete", now, &guids)?;
            Ok(jobs::accepted(&job, &urls))
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
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_OF_SPACE)
        .map_err(ApiError::as_unprocessable)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            spaces::store::get_visible(tx, &caller, &guid)?;
            let found = store::list_of_space(tx, &guid, lifecycle, &query)?;
            let mut bound = store::bound(tx, &caller, &found.rows)?;
            // Of the other spaces nothing is told here.
            for spaces in bound.values_mut() {
                spaces.retain(|(space, _)| *space == guid);
            }
            let path = format!("/v3/spaces/{guid}/{}_security_groups", lifecycle.as_str());
            let shown = presenter::present_all(&found.rows, &bound, &urls)?;
            Ok::<_, ApiError>(Json(found.present_values(&query, &urls, &path, shown)?))
        })
        .await
}

fn present(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &SecurityGroupGuid,
    urls: &Urls,
) -> ApiResult<Json<Value>> {
    let groups = [store::get_visible(tx, caller, guid)?];
    let bound = store::bound(tx, caller, &groups)?;
    presenter::present(&groups[0], &bound, urls).map(Json)
}
