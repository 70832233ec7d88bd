//! Requests on service route bindings.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::RouteBindingGuid;
use crate::cloud_controller::actions::service_route_bindings::{NewRouteBinding, RouteBound};
use crate::cloud_controller::api::service_instances::fetched_parameters;
use crate::cloud_controller::engines::fetch_binding;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::last_operations::OperationType;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_route_bindings::RouteBinding;
use crate::cloud_controller::payload::service_bindings::{ROUTE_INCLUDES, ROUTES};
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, with_included};
use crate::cloud_controller::{actions, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &ROUTES)?;
    ctx.read(move |tx, ctx| {
        let found = model::service_route_bindings::list_visible(tx, &ctx.caller, &query)?;
        let included = presenter::included(tx, &query, &found.rows, &ctx.urls)?;
        let shown = presenter::present_all(tx, &found.rows, &ctx.urls)?;
        let path = "/v3/service_route_bindings";
        let body = found.present_values(&query, &ctx.urls, path, shown)?;
        Ok(Json(body.including(included)))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<RouteBindingGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), ROUTE_INCLUDES, &[])?;
    ctx.read(move |tx, ctx| {
        let binding = model::service_route_bindings::get_visible(tx, &ctx.caller, &guid)?;
        let one = std::slice::from_ref(&binding);
        let included = presenter::included(tx, &query, one, &ctx.urls)?;
        let shown = presenter::present_from(tx, &binding, &ctx.urls)?;
        Ok(Json(with_included(shown, included)))
    })
    .await
}

pub(super) async fn create(ctx: Context, JsonBody(body): JsonBody) -> ApiResult<Response> {
    let wanted = payload::service_bindings::create_of_route(body)?;
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let guid = &wanted.instance;
        let instance = model::service_instances::find(tx, guid)?;
        let instance = match instance {
            Some(found) if ctx.caller.sees_space(tx, &found.space_guid)? => found,
            _ => {
                return Err(Error::unprocessable(format!(
                    "The service instance could not be found: {guid}"
                )));
            }
        };
        let may = ctx.may_support(tx, &instance.space_guid)?;
        let route = model::routes::find(tx, &wanted.route)?;
        let route = match route {
            Some(found) if ctx.caller.sees_space(tx, &found.space_guid)? => found,
            _ => {
                return Err(Error::unprocessable(format!(
                    "The route could not be found: {}",
                    wanted.route
                )));
            }
        };
        if !instance.is_managed() && wanted.has_parameters {
            return Err(Error::unprocessable(
                "Binding parameters are not supported for user-provided service instances",
            ));
        }
        let new = NewRouteBinding {
            instance: &instance,
            route: &route,
            parameters: wanted.parameters,
            metadata: wanted.metadata,
            request: wanted.request,
        };
        match actions::service_route_bindings::create(tx, &may, &vault, new)? {
            RouteBound::Done(binding) => {
                let shown = presenter::present_from(tx, &binding, &ctx.urls)?;
                Ok((StatusCode::CREATED, Json(shown)).into_response())
            }
            RouteBound::Started(job) => Ok(v3::jobs::accepted(&job, &ctx.urls)),
        }
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<RouteBindingGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::service_offerings::metadata(body);
    ctx.write(move |tx, ctx| {
        let binding = model::service_route_bindings::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &binding.space_guid)?;
        let (metadata, request) = change?;
        let changed =
            actions::service_route_bindings::update(tx, &may, &binding, &metadata, &request)?;
        presenter::present_from(tx, &changed, &ctx.urls).map(Json)
    })
    .await
}

/// The instance of a binding.
fn instance_of(tx: &ReadTx<'_>, binding: &RouteBinding) -> Result<ServiceInstance> {
    let instance = model::service_instances::find(tx, &binding.instance_guid)?;
    instance.ok_or_else(|| Error::internal("a binding without its instance"))
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<RouteBindingGuid>,
) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let binding = model::service_route_bindings::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &binding.space_guid)?;
        let instance = instance_of(tx, &binding)?;
        actions::service_route_bindings::refuse_blocked(tx, &binding, &instance)?;
        if !instance.is_managed() {
            actions::service_route_bindings::delete(tx, &may, &binding)?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let both = (&binding, &instance);
        let job = actions::service_route_bindings::start_delete(tx, &may, both, None)?;
        let job = job.ok_or_else(|| Error::internal("a deletion without a job"))?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn parameters(
    ctx: Context,
    Path(guid): Path<RouteBindingGuid>,
) -> ApiResult<Json<Value>> {
    let vault = ctx.cc.vault().clone();
    let asked = ctx
        .read(move |tx, ctx| {
            let binding = model::service_route_bindings::get_visible(tx, &ctx.caller, &guid)?;
            refuse_unfinished(&binding)?;
            ctx.may_write(tx, &binding.space_guid)?;
            let instance = instance_of(tx, &binding)?;
            let asked = fetch_binding(tx, &vault, &instance, guid.as_str())?;
            asked.ok_or_else(|| {
                let who = if instance.is_managed() {
                    "this service does"
                } else {
                    "user provided service instances do"
                };
                Error::bad_request(format!(
                    "{who} not support fetching route bindings parameters."
                ))
            })
        })
        .await?;
    fetched_parameters(&ctx, &asked).await.map(Json)
}

/// 404 for a binding that is not there yet, or not any more.
fn refuse_unfinished(binding: &RouteBinding) -> Result<()> {
    let Some(last) = binding
        .last_operation
        .as_ref()
        .filter(|_| !binding.create_succeeded())
    else {
        return Ok(());
    };
    let operation = match last.kind {
        OperationType::Create => "Creation",
        OperationType::Update | OperationType::Delete => "Deletion",
    };
    Err(Error::resource_not_found(format!(
        "{operation} of route binding {}",
        last.state.as_str()
    )))
}
