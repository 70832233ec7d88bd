//! Requests on routes.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::{AppGuid, RouteGuid, SpaceGuid};
use crate::cloud_controller::actions::routes::{NewRoute, RouteContext};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::routes::{CreateRoute, INCLUDES};
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, with_included};
use crate::cloud_controller::{actions, flows, model, payload, v3};
use crate::db::WriteTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::routes::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::routes::list_visible(tx, &ctx.caller, &query, None)?;
        let body = presenter::present_list(tx, &found, &query, &ctx.urls, "/v3/routes")?;
        let included = presenter::included(tx, &ctx.caller, &ctx.urls, &query, &found.rows)?;
        Ok(Json(body.including(included)))
    })
    .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::routes::LIST)?;
    ctx.read(move |tx, ctx| {
        if !model::routes::sees_app(tx, &ctx.caller, &app)? {
            return Err(Error::not_found("App"));
        }
        let found = model::routes::list_visible(tx, &ctx.caller, &query, Some(&app))?;
        let path = format!("/v3/apps/{app}/routes");
        presenter::present_list(tx, &found, &query, &ctx.urls, &path).map(Json)
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), INCLUDES, &[])
        .map_err(Error::as_unprocessable)?;
    ctx.read(move |tx, ctx| {
        let route = model::routes::get_visible(tx, &ctx.caller, &guid)?;
        let body = presenter::present_from(tx, &route, &ctx.urls)?;
        let included = presenter::included(tx, &ctx.caller, &ctx.urls, &query, &[route])?;
        Ok(Json(with_included(body, included)))
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::routes::create(body);
    let system_domain = ctx.cc.settings().system_domain.clone();
    ctx.write(move |tx, ctx| {
        if !ctx.caller.is_admin() {
            actions::feature_flags::require(tx, &ctx.caller, "route_creation")?;
        }
        let wanted = wanted?;
        let (may, space, domain) = place(tx, ctx, &wanted)?;
        let context = RouteContext {
            system_domain: &system_domain,
            cause: Cause::Request,
        };
        let new = NewRoute {
            space: &space,
            domain: &domain,
            host: wanted.host,
            path: wanted.path,
            port: wanted.port,
            options: wanted.options,
            metadata: wanted.metadata,
            request: wanted.request,
        };
        let route = actions::routes::create(tx, &may, new, context)?;
        let body = presenter::present_from(tx, &route, &ctx.urls)?;
        Ok((StatusCode::CREATED, Json(body)))
    })
    .await
}

/// Space and domain of a new route, if this caller may make it there.
fn place(
    tx: &WriteTx<'_>,
    ctx: &Context,
    wanted: &CreateRoute,
) -> Result<(MaySupport, Space, Domain)> {
    let missing = |what: &str| {
        Error::unprocessable(format!(
            "Invalid {what}. Ensure that the {what} exists and you have access to it."
        ))
    };
    let space = model::spaces::find(tx, &wanted.space)?.ok_or_else(|| missing("space"))?;
    let domain = model::domains::find(tx, &wanted.domain)?.ok_or_else(|| missing("domain"))?;
    let may = ctx.may_support(tx, &space.guid)?;
    if domain.is_shared() && wanted.host == "*" && !ctx.caller.is_admin() {
        return Err(Error::unprocessable(
            "You do not have sufficient permissions to create a route with a wildcard host on a domain not scoped to \
             an organization.",
        ));
    }
    Ok((may, space, domain))
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let (options, metadata) = payload::routes::update(body)?;
    ctx.write(move |tx, ctx| {
        let route = model::routes::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &route.space_guid)?;
        let route = actions::routes::update(tx, &may, route, options, &metadata)?;
        presenter::present_from(tx, &route, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<RouteGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let route = model::routes::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &route.space_guid)?;
        if let Some(job) = flows::cascades::start_route(tx, &may, &route)? {
            return Ok(v3::jobs::accepted(&job, &ctx.urls));
        }
        actions::routes::delete(tx, &may, &route)?;
        let job = v3::jobs::record_complete(tx, "route.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn delete_unmapped(
    ctx: Context,
    Path(space): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    payload::routes::delete_unmapped(query.as_deref())?;
    ctx.write(move |tx, ctx| {
        model::spaces::get_visible(tx, &ctx.caller, &space)?;
        let may = ctx.may_support(tx, &space)?;
        actions::routes::delete_unmapped(tx, &may, &space)?;
        let operation = "space.delete_unmapped_routes";
        let job = v3::jobs::record_complete(tx, operation, &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}
