//! Requests on organization quotas.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::OrganizationQuotaGuid;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::organization_quotas::Quota;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls, related};
use crate::cloud_controller::{actions, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::organization_quotas::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::organization_quotas::list_visible(tx, &ctx.caller, &query)?;
        let members = model::organization_quotas::members(tx, &ctx.caller, &found.rows)?;
        let body = found.present(&query, &ctx.urls, "/v3/organization_quotas", |quota| {
            let members = members.get(&quota.guid).map_or(&[][..], Vec::as_slice);
            presenter::present(quota, members, &ctx.urls)
        })?;
        Ok(Json(body))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<OrganizationQuotaGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let quota = get(tx, &guid)?;
        present(tx, &ctx.caller, quota, &ctx.urls)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let may = ctx.may_administer()?;
    let change = payload::organization_quotas::create(body)?;
    ctx.write(move |tx, ctx| {
        let quota = actions::organization_quotas::create(tx, &may, change)?;
        Ok((
            StatusCode::CREATED,
            present(tx, &ctx.caller, quota, &ctx.urls)?,
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<OrganizationQuotaGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let may = ctx.may_administer()?;
    let change = payload::organization_quotas::update(body)?;
    ctx.write(move |tx, ctx| {
        let quota = get(tx, &guid)?;
        let quota = actions::organization_quotas::update(tx, &may, quota, change)?;
        present(tx, &ctx.caller, quota, &ctx.urls)
    })
    .await
}

pub(super) async fn apply(
    ctx: Context,
    Path(guid): Path<OrganizationQuotaGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let may = ctx.may_administer()?;
    let organizations = body.finish_to_many()?;
    ctx.write(move |tx, ctx| {
        let quota = get(tx, &guid)?;
        actions::organization_quotas::apply(tx, &may, &quota, &organizations)?;
        let path = format!("/v3/organization_quotas/{guid}/relationships/organizations");
        Ok(Json(related(
            &model::organization_quotas::all_members(tx, &guid)?,
            &ctx.urls,
            &path,
        )))
    })
    .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<OrganizationQuotaGuid>,
) -> ApiResult<Response> {
    let may = ctx.may_administer()?;
    ctx.write(move |tx, ctx| {
        let quota = get(tx, &guid)?;
        actions::organization_quotas::delete(tx, &may, &quota)?;
        let operation = "organization_quota.delete";
        let job = v3::jobs::record_complete(tx, operation, &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

fn get(tx: &ReadTx<'_>, guid: &OrganizationQuotaGuid) -> Result<Quota> {
    model::organization_quotas::find(tx, guid)?
        .ok_or_else(|| Error::not_found("Organization quota"))
}

fn present(tx: &ReadTx<'_>, caller: &Caller, quota: Quota, urls: &Urls) -> Result<Json<Value>> {
    let quotas = [quota];
    let members = model::organization_quotas::members(tx, caller, &quotas)?;
    let [quota] = quotas;
    let members = members.get(&quota.guid).map_or(&[][..], Vec::as_slice);
    Ok(Json(presenter::present(&quota, members, urls)))
}
