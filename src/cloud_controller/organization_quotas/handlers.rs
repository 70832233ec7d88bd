//! Requests on organization quotas.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::store::Quota;
use super::{actions, payload, presenter, store};
use crate::base::guid::OrganizationQuotaGuid;
use crate::cloud_controller::jobs;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery, Urls, related,
};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let members = store::members(tx, &caller, &found.rows)?;
            let body = found.present(&query, &urls, "/v3/organization_quotas", |quota| {
                let members = members.get(&quota.guid).map_or(&[][..], Vec::as_slice);
                presenter::present(quota, members, &urls)
            })?;
            Ok(Json(body))
        })
        .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<OrganizationQuotaGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let quota = get(tx, &guid)?;
            present(tx, &caller, quota, &urls)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.caller.must_be_admin()?;
    let change = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let quota = actions::create(tx, &recorder, change)?;
            Ok((StatusCode::CREATED, present(tx, &caller, quota, &urls)?))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<OrganizationQuotaGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.caller.must_be_admin()?;
    let change = payload::update(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let quota = get(tx, &guid)?;
            let quota = actions::update(tx, &recorder, quota, change)?;
            present(tx, &caller, quota, &urls)
        })
        .await
}

pub(super) async fn apply(
    ctx: Context,
    Path(guid): Path<OrganizationQuotaGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.caller.must_be_admin()?;
    let organizations = body.finish_to_many()?;
    let recorder = ctx.recorder();
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let quota = get(tx, &guid)?;
            actions::apply(tx, &recorder, &quota, &organizations)?;
            let path = format!("/v3/organization_quotas/{guid}/relationships/organizations");
            Ok(Json(related(&store::all_members(tx, &guid)?, &urls, &path)))
        })
        .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<OrganizationQuotaGuid>,
) -> ApiResult<Response> {
    ctx.caller.must_be_admin()?;
    let recorder = ctx.recorder();
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let quota = get(tx, &guid)?;
            actions::delete(tx, &recorder, &quota)?;
            let operation = "organization_quota.delete";
            let job = jobs::record_complete(tx, operation, recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

fn get(tx: &ReadTx<'_>, guid: &OrganizationQuotaGuid) -> ApiResult<Quota> {
    store::find(tx, guid)?.ok_or_else(|| ApiError::not_found("Organization quota"))
}

fn present(tx: &ReadTx<'_>, caller: &Caller, quota: Quota, urls: &Urls) -> ApiResult<Json<Value>> {
    let quotas = [quota];
    let members = store::members(tx, caller, &quotas)?;
    let [quota] = quotas;
    let members = members.get(&quota.guid).map_or(&[][..], Vec::as_slice);
    Ok(Json(presenter::present(&quota, members, urls)))
}
