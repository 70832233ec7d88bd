//! Requests on service instances.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::ServiceInstanceGuid;
use crate::cloud_controller::actions::service_instances_checks as checks;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::engines::fetch_instance;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::service_brokers::BrokerState;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::payload::service_fields::{Fields, check_one_of};
use crate::cloud_controller::payload::service_instances::{
    FIELD_NAMES, FIELDS, LIST, LIST_FIELDS, NewKind,
};
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, JsonBody, ListBody, with_included,
};
use crate::cloud_controller::{actions, flows, model, payload, v3};
use crate::db::{ReadTx, Vault, WriteTx};
use crate::marketplace::outcome::outcome;
use crate::marketplace::{Broker, Outcome, Request};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    check_one_of(&query, "type", "Type", &["managed", "user-provided"])?;
    let fields = Fields::read(&query, LIST_FIELDS)?;
    ctx.read(move |tx, ctx| {
        let found = model::service_instances::list_visible(tx, &ctx.caller, &query)?;
        let included = presenter::included(tx, &fields, &found.rows, &ctx.urls)?;
        let shown = presenter::present_all(tx, &found.rows, &ctx.urls)?;
        let body = found.present_values(&query, &ctx.urls, "/v3/service_instances", shown)?;
        Ok(Json(body.including(included)))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<ServiceInstanceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let parsed = ListQuery::parse_single(query.as_deref(), &[], FIELD_NAMES);
    ctx.read(move |tx, ctx| {
        let instance = model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
        let fields = Fields::read(&parsed?, FIELDS)?;
        let one = std::slice::from_ref(&instance);
        let included = presenter::included(tx, &fields, one, &ctx.urls)?;
        let shown = presenter::present_from(tx, &instance, &ctx.urls)?;
        Ok(Json(with_included(shown, included)))
    })
    .await
}

pub(super) async fn create(ctx: Context, JsonBody(body): JsonBody) -> ApiResult<Response> {
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        if !ctx.caller.is_admin() {
            let flag = "service_instance_creation";
            actions::feature_flags::require(tx, &ctx.caller, flag)?;
        }
        let wanted = payload::service_instances::create(body)?;
        let space = model::spaces::find_visible(tx, &ctx.caller, &wanted.space)?;
        let space = space.ok_or_else(|| {
            Error::unprocessable(
                "Invalid space. Ensure that the space exists and you have access to it.",
            )
        })?;
        let may = ctx.may_write(tx, &space.guid)?;
        let NewKind::Managed { plan, .. } = &wanted.kind else {
            let made =
                actions::service_instances::create_provided(tx, &may, &vault, &space, wanted)?;
            let shown = presenter::present_from(tx, &made, &ctx.urls)?;
            return Ok((StatusCode::CREATED, Json(shown)).into_response());
        };
        let plan = checks::usable_plan(tx, &ctx.caller, plan, &space)?;
        refuse_unavailable(tx, &plan)?;
        let place = (&space, &plan);
        let job = actions::service_instances::create_managed(tx, &may, &vault, place, wanted)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

/// 422 while the broker of a plan is being changed.
fn refuse_unavailable(tx: &ReadTx<'_>, plan: &ServicePlan) -> Result<()> {
    let broker = model::service_brokers::find(tx, &plan.offering.broker_guid)?;
    if broker.is_some_and(|broker| broker.state == BrokerState::Available) {
        return Ok(());
    }
    Err(Error::unprocessable(
        "The service instance cannot be created because there is an operation in progress for the service broker.",
    ))
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<ServiceInstanceGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Response> {
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let instance = model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &instance.space_guid)?;
        if instance.is_managed() {
            return update_managed(tx, ctx, &vault, instance, body);
        }
        let wanted = payload::service_instances::update_provided(body)?;
        let changed =
            actions::service_instances::update_provided(tx, &may, &vault, instance, wanted)?;
        Ok(Json(presenter::present_from(tx, &changed, &ctx.urls)?).into_response())
    })
    .await
}

fn update_managed(
    tx: &WriteTx<'_>,
    ctx: &Context,
    vault: &Vault,
    instance: ServiceInstance,
    body: Body,
) -> Result<Response> {
    let may = ctx.may_write(tx, &instance.space_guid)?;
    let wanted = payload::service_instances::update_managed(body)?;
    let plan = actions::service_operations::plan_of(tx, &instance)?;
    let plan = plan.ok_or_else(|| Error::internal("a managed instance without a plan"))?;
    checks::may_update(tx, &ctx.caller, &instance, &plan, &wanted)?;
    if checks::needs_broker(&instance, &plan, &wanted) {
        let both = (&instance, &plan);
        let job = actions::service_instances::start_update(tx, &may, vault, both, wanted)?;
        return Ok(v3::jobs::accepted(&job, &ctx.urls));
    }
    let changed = actions::service_instances::update_managed(tx, &may, instance, wanted)?;
    Ok(Json(presenter::present_from(tx, &changed, &ctx.urls)?).into_response())
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<ServiceInstanceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let query = ListQuery::parse_single(query.as_deref(), &[], &["purge"])?;
    let purge = query.raw("purge") == Some("true");
    ctx.write(move |tx, ctx| {
        let instance = model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &instance.space_guid)?;
        if purge {
            if let Some(plan) = actions::service_operations::plan_of(tx, &instance)? {
                ctx.may_change_broker(tx, plan.offering.broker_space.as_ref())?;
            }
            flows::cascades::purge_instance(tx, &may, &instance)?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        actions::service_instances::refuse_blocked(&instance)?;
        if !instance.is_managed() {
            flows::cascades::provided_instance(tx, &may, &instance)?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let job = actions::service_instances::start_delete(tx, &may, &instance, None)?;
        let job = job.ok_or_else(|| Error::internal("a deletion without a job"))?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn credentials(
    ctx: Context,
    Path(guid): Path<ServiceInstanceGuid>,
) -> ApiResult<Json<Value>> {
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let instance = model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
        if instance.is_managed() {
            return Err(Error::not_found("Service instance"));
        }
        let may = ctx.may_read_secrets(tx, &instance.space_guid)?;
        let nothing = Value::Null;
        actions::service_events::of_instance(tx, &may, "show", &instance, &nothing)?;
        let credentials = model::service_instances::credentials(tx, &vault, &guid)?;
        Ok(Json(Value::Object(credentials)))
    })
    .await
}

pub(super) async fn parameters(
    ctx: Context,
    Path(guid): Path<ServiceInstanceGuid>,
) -> ApiResult<Json<Value>> {
    let vault = ctx.cc.vault().clone();
    let asked = ctx
        .read(move |tx, ctx| {
            let instance = model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
            if !ctx.caller.sees_space(tx, &instance.space_guid)? {
                return Err(Error::forbidden());
            }
            if instance.create_failed() && instance.is_managed() {
                return Err(Error::not_found("Service instance"));
            }
            let asked = fetch_instance(tx, &vault, &instance)?;
            let asked = asked.ok_or_else(|| {
                Error::new(
                    Kind::ServiceFetchInstanceParametersNotSupported,
                    "This service does not support fetching service instance parameters.",
                )
            })?;
            if instance.is_busy() {
                return Err(checks::busy(&instance));
            }
            Ok(asked)
        })
        .await?;
    fetched_parameters(&ctx, &asked).await.map(Json)
}

/// The parameters a broker keeps of an instance or a binding.
pub(in crate::cloud_controller::api) async fn fetched_parameters(
    ctx: &Context,
    (broker, request): &(Broker, Request),
) -> ApiResult<Value> {
    let user = ctx.caller.guid.as_str();
    let sent = ctx.cc.brokers().send(broker, request, Some(user)).await;
    match outcome(request, &sent.reply) {
        Outcome::Done(answer) => Ok(answer
            .object("parameters")
            .map_or_else(|| json!({}), |map| Value::Object(map.clone()))),
        Outcome::Failed(fault) => Err(ApiError::bad_gateway(&fault.text)),
        Outcome::Accepted(_) | Outcome::InProgress { .. } | Outcome::OperationFailed { .. } => Err(
            ApiError::bad_gateway("The service broker returned an invalid response"),
        ),
    }
}
