//! Requests on space quotas.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::store::SpaceQuota;
use super::{actions, payload, presenter, store};
use crate::base::guid::{SpaceGuid, SpaceQuotaGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery, Urls, related,
};
use crate::cloud_controller::{jobs, organizations};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query =
        ListQuery::parse(query.as_deref(), &payload::LIST).map_err(ApiError::as_unprocessable)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let members = store::members(tx, &caller, &found.rows)?;
            let body = found.present(&query, &urls, "/v3/space_quotas", |quota| {
                let members = members.get(&quota.guid).map_or(&[][..], Vec::as_slice);
                presenter::present(quota, members, &urls)
            })?;
            Ok(Json(body))
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<SpaceQuotaGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let quota = store::get_visible(tx, &caller, &guid)?;
            present(tx, &caller, quota, &urls)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let guid = &wanted.organization;
            if organizations::store::by_guids(tx, &[guid.to_string()])?.is_empty() {
                return Err(ApiError::unprocessable(format!(
                    "Organization with guid '{guid}' does not exist, or you do not have access to it."
                )));
            }
            caller.may_manage_organization(tx, guid)?;
            let quota = actions::create(tx, &recorder, wanted)?;
            Ok((StatusCode::CREATED, present(tx, &caller, quota, &urls)?))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<SpaceQuotaGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let quota = get_writable(tx, &caller, &guid)?;
            let quota = actions::update(tx, &recorder, quota, payload::update(body)?)?;
            present(tx, &caller, quota, &urls)
        })
        .await
}

pub(super) async fn apply(
    ctx: Context,
    Path(guid): Path<SpaceQuotaGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let quota = get_writable(tx, &caller, &guid)?;
            actions::apply(tx, &recorder, &caller, &quota, &body.finish_to_many()?)?;
            let path = format!("/v3/space_quotas/{guid}/relationships/spaces");
            let spaces = store::all_members(tx, &guid)?;
            Ok(Json(related(&spaces, &urls, &path)))
        })
        .await
}

pub(super) async fn remove(
    ctx: Context,
    Path((guid, space)): Path<(SpaceQuotaGuid, SpaceGuid)>,
) -> ApiResult<StatusCode> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let quota = get_writable(tx, &caller, &guid)?;
            actions::remove(tx, &recorder, &quota, &space)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<SpaceQuotaGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let quota = get_writable(tx, &caller, &guid)?;
            actions::delete(tx, &recorder, &quota)?;
            let operation = "space_quota.delete";
            let job = jobs::record_complete(tx, operation, recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

fn get_writable(tx: &ReadTx<'_>, caller: &Caller, guid: &SpaceQuotaGuid) -> ApiResult<SpaceQuota> {
    let quota = store::get_visible(tx, caller, guid)?;
    caller.may_manage_organization(tx, &quota.organization_guid)?;
    Ok(quota)
}

fn present(
    tx: &ReadTx<'_>,
    caller: &Caller,
    quota: SpaceQuota,
    urls: &Urls,
) -> ApiResult<Json<Value>> {
    let quotas = [quota];
    let members = store::members(tx, caller, &quotas)?;
    let [quota] = quotas;
    let members = members.get(&quota.guid).map_or(&[][..], Vec::as_slice);
    Ok(Json(presenter::present(&quota, members, urls)))
}
