//! Requests on routes.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::actions::{Cause, Making, NewRoute};
use super::payload::{self, CreateRoute, INCLUDES};
use super::{actions, presenter, store};
use crate::base::guid::{AppGuid, RouteGuid, SpaceGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery, with_included,
};
use crate::cloud_controller::{domains, feature_flags, jobs, spaces};
use crate::db::WriteTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, None)?;
            let body = presenter::present_list(tx, &found, &query, (&urls, "/v3/routes"))?;
            let included = presenter::included(tx, (&caller, &urls), &query, &found.rows)?;
            Ok::<_, ApiError>(Json(body.including(included)))
        })
        .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            if !store::sees_app(tx, &caller, &app)? {
                return Err(ApiError::not_found("App"));
            }
            let found = store::list_visible(tx, &caller, &query, Some(&app))?;
            let path = format!("/v3/apps/{app}/routes");
            presenter::present_list(tx, &found, &query, (&urls, &path)).map(Json)
        })
        .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), INCLUDES, &[])
        .map_err(ApiError::as_unprocessable)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let route = store::get_visible(tx, &caller, &guid)?;
            let body = presenter::present_from(tx, &route, &urls)?;
            let included = presenter::included(tx, (&caller, &urls), &query, &[route])?;
            Ok::<_, ApiError>(Json(with_included(body, included)))
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let wanted = payload::create(body);
    let system_domain = cc.settings().system_domain.clone();
    cc.db()
        .write(move |tx| {
            if !caller.is_admin() {
                feature_flags::require(tx, &caller, "route_creation")?;
            }
            let wanted = wanted?;
            let (space, domain) = place(tx, &caller, &wanted)?;
            let making = Making {
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
            let route = actions::create(tx, &recorder, new, making)?;
            let body = presenter::present_from(tx, &route, &urls)?;
            Ok((StatusCode::CREATED, Json(body)))
        })
        .await
}

/// Space and domain of a new route, if this caller may make it there.
fn place(
    tx: &WriteTx<'_>,
    caller: &Caller,
    wanted: &CreateRoute,
) -> ApiResult<(spaces::Space, domains::Domain)> {
    let missing = |what: &str| {
        ApiError::unprocessable(format!(
            "Invalid {what}. Ensure that the {what} exists and you have access to it."
        ))
    };
    let space = spaces::store::find(tx, &wanted.space)?.ok_or_else(|| missing("space"))?;
    let domain = domains::store::find(tx, &wanted.domain)?.ok_or_else(|| missing("domain"))?;
    caller.may_support_space(tx, &space.guid)?;
    if domain.is_shared() && wanted.host == "*" && !caller.is_admin() {
        return Err(ApiError::unprocessable(
            "You do not have sufficient permissions to create a route with a wildcard host on a domain not scoped to \
             an organization.",
        ));
    }
    Ok((space, domain))
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let (options, metadata) = payload::update(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let route = store::get_visible(tx, &caller, &guid)?;
            caller.may_support_space(tx, &route.space_guid)?;
            let route = actions::update(tx, &recorder, route, options, &metadata)?;
            presenter::present_from(tx, &route, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<RouteGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let route = store::get_visible(tx, &caller, &guid)?;
            caller.may_support_space(tx, &route.space_guid)?;
            actions::delete(tx, &recorder, &route)?;
            let job = jobs::record_complete(tx, "route.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

pub(super) async fn delete_unmapped(
    ctx: Context,
    Path(space): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    payload::delete_unmapped(query.as_deref())?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            spaces::store::get_visible(tx, &caller, &space)?;
            caller.may_support_space(tx, &space)?;
            actions::delete_unmapped(tx, &recorder, &space)?;
            let operation = "space.delete_unmapped_routes";
            let job = jobs::record_complete(tx, operation, recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}
