//! Requests on space quotas.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::{SpaceGuid, SpaceQuotaGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::space_quotas::SpaceQuota;
use crate::cloud_controller::permits::MayManage;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls, related};
use crate::cloud_controller::{actions, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::space_quotas::LIST)
        .map_err(Error::as_unprocessable)?;
    ctx.read(move |tx, ctx| {
        let found = model::space_quotas::list_visible(tx, &ctx.caller, &query)?;
        let members = model::space_quotas::members(tx, &ctx.caller, &found.rows)?;
        let body = found.present(&query, &ctx.urls, "/v3/space_quotas", |quota| {
            let members = members.get(&quota.guid).map_or(&[][..], Vec::as_slice);
            presenter::present(quota, members, &ctx.urls)
        })?;
        Ok(Json(body))
    })
    .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<SpaceQuotaGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let quota = model::space_quotas::get_visible(tx, &ctx.caller, &guid)?;
        present(tx, &ctx.caller, quota, &ctx.urls)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::space_quotas::create(body)?;
    ctx.write(move |tx, ctx| {
        let guid = &wanted.organization;
        if model::organizations::by_guids(tx, &[guid.to_string()])?.is_empty() {
            return Err(Error::unprocessable(format!(
                "Organization with guid '{guid}' does not exist, or you do not have access to it."
            )));
        }
        let may = ctx.may_manage(tx, guid)?;
        let quota = actions::space_quotas::create(tx, &may, wanted)?;
        Ok((
            StatusCode::CREATED,
            present(tx, &ctx.caller, quota, &ctx.urls)?,
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<SpaceQuotaGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let (may, quota) = get_writable(tx, ctx, &guid)?;
        let quota =
            actions::space_quotas::update(tx, &may, quota, payload::space_quotas::update(body)?)?;
        present(tx, &ctx.caller, quota, &ctx.urls)
    })
    .await
}

pub(super) async fn apply(
    ctx: Context,
    Path(guid): Path<SpaceQuotaGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let (may, quota) = get_writable(tx, ctx, &guid)?;
        actions::space_quotas::apply(tx, &may, &ctx.caller, &quota, &body.finish_to_many()?)?;
        let path = format!("/v3/space_quotas/{guid}/relationships/spaces");
        let spaces = model::space_quotas::all_members(tx, &guid)?;
        Ok(Json(related(&spaces, &ctx.urls, &path)))
    })
    .await
}

pub(super) async fn remove(
    ctx: Context,
    Path((guid, space)): Path<(SpaceQuotaGuid, SpaceGuid)>,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let (may, quota) = get_writable(tx, ctx, &guid)?;
        actions::space_quotas::remove(tx, &may, &quota, &space)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<SpaceQuotaGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let (may, quota) = get_writable(tx, ctx, &guid)?;
        actions::space_quotas::delete(tx, &may, &quota)?;
        let operation = "space_quota.delete";
        let job = v3::jobs::record_complete(tx, operation, &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

fn get_writable(
    tx: &ReadTx<'_>,
    ctx: &Context,
    guid: &SpaceQuotaGuid,
) -> Result<(MayManage, SpaceQuota)> {
    let quota = model::space_quotas::get_visible(tx, &ctx.caller, guid)?;
    Ok((ctx.may_manage(tx, &quota.organization_guid)?, quota))
}

fn present(
    tx: &ReadTx<'_>,
    caller: &Caller,
    quota: SpaceQuota,
    urls: &Urls,
) -> Result<Json<Value>> {
    let quotas = [quota];
    let members = model::space_quotas::members(tx, caller, &quotas)?;
    let [quota] = quotas;
    let members = members.get(&quota.guid).map_or(&[][..], Vec::as_slice);
    Ok(Json(presenter::present(&quota, members, urls)))
}
