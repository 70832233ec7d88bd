//! Requests on domains.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::{DomainGuid, OrganizationGuid};
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::routes::RoutePlace;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody};
use crate::cloud_controller::{actions, flows, model, payload, v3};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::domains::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::domains::list_visible(tx, &ctx.caller, &query)?;
        let shown = presenter::present_all(tx, &ctx.caller, &found.rows, &ctx.urls)?;
        let body = found.present_values(&query, &ctx.urls, "/v3/domains", shown)?;
        Ok(Json(body))
    })
    .await
}

pub(super) async fn list_of_organization(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::domains::LIST);
    ctx.read(move |tx, ctx| {
        model::organizations::get_visible(tx, &ctx.caller, &guid)?;
        let query = query?;
        let found = model::domains::list_of_organization(tx, &ctx.caller, &guid, &query)?;
        let path = format!("/v3/organizations/{guid}/domains");
        let shown = presenter::present_all(tx, &ctx.caller, &found.rows, &ctx.urls)?;
        Ok(Json(found.present_values(&query, &ctx.urls, &path, shown)?))
    })
    .await
}

pub(super) async fn show_default(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        model::organizations::get_visible(tx, &ctx.caller, &guid)?;
        let domain = model::domains::default_of(tx, &guid)?;
        let sees_private = model::domains::sees_private(tx, &ctx.caller, &guid)?;
        let domain = domain
            .filter(|domain| domain.is_shared() || sees_private)
            .ok_or_else(|| Error::not_found("Domain"))?;
        presenter::present_from(tx, &ctx.caller, &domain, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<DomainGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let domain = model::domains::get_visible(tx, &ctx.caller, &guid)?;
        presenter::present_from(tx, &ctx.caller, &domain, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::domains::create(body)?;
    let system_domain = ctx.cc.settings().system_domain.clone();
    ctx.write(move |tx, ctx| {
        let (caller, owner) = (&ctx.caller, wanted.organization.as_ref());
        let may = actions::domains::may_create(tx, caller, ctx.recorder(), owner)?;
        let guests = &wanted.shared_organizations;
        let guests = actions::domains::guests(tx, caller, &ctx.recorder(), guests, owner)?;
        let domain = actions::domains::create(tx, &may, &guests, wanted, &system_domain)?;
        let body = presenter::present_from(tx, &ctx.caller, &domain, &ctx.urls)?;
        Ok((StatusCode::CREATED, Json(body)))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<DomainGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::domains::update(body)?;
    ctx.write(move |tx, ctx| {
        let domain = model::domains::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_change_domain(tx, &domain)?;
        let domain = actions::domains::update(tx, &may, domain, &change)?;
        presenter::present_from(tx, &ctx.caller, &domain, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<DomainGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let domain = model::domains::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_change_domain(tx, &domain)?;
        flows::deletion::domain(tx, &may, &domain)?;
        let job = v3::jobs::record_complete(tx, "domain.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn route_reservations(
    ctx: Context,
    Path(guid): Path<DomainGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), &[], &["host", "path", "port"])?;
    ctx.read(move |tx, ctx| {
        model::domains::get_visible(tx, &ctx.caller, &guid)?;
        let [host, path] = ["host", "path"].map(|name| query.raw(name).unwrap_or_default());
        // An invalid port belongs to no route.
        let port = query.raw("port").filter(|port| !port.is_empty());
        let port = port.map_or(Some(0), |port| port.parse().ok());
        let found = match port {
            Some(port) => model::routes::is_reserved(tx, &guid, RoutePlace { host, path, port })?,
            None => false,
        };
        Ok(Json(json!({ "matching_route": found })))
    })
    .await
}
