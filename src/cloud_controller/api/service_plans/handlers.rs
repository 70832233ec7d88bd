//! Requests on service plans.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::ServicePlanGuid;
use crate::cloud_controller::api::service_offerings::refuse_strangers;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::payload::service_fields::{Fields, check_available};
use crate::cloud_controller::payload::service_offerings::{PLAN_FIELDS, PLAN_INCLUDES, PLANS};
use crate::cloud_controller::permits::MayChangeBroker;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Visit, with_included};
use crate::cloud_controller::{actions, model, payload};
use crate::db::ReadTx;

pub(super) async fn list(visit: Visit, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let parsed = ListQuery::parse(query.as_deref(), &PLANS);
    let db = visit.cc.db().clone();
    let found: Result<ListBody> = db
        .read(move |tx| {
            refuse_strangers(tx, &visit)?;
            let query = parsed?;
            check_available(&query)?;
            let fields = Fields::read(&query, PLAN_FIELDS)?;
            let (urls, caller) = (&visit.urls, visit.ctx.as_ref().map(|ctx| &ctx.caller));
            let found = model::service_plans::list_visible(tx, caller, &query)?;
            let included = presenter::included(tx, &query, &fields, &found.rows, urls)?;
            let shown = presenter::present_all(tx, &found.rows, urls)?;
            let body = found.present_values(&query, urls, "/v3/service_plans", shown)?;
            Ok(body.including(included))
        })
        .await;
    Ok(Json(found?))
}

pub(super) async fn show(
    visit: Visit,
    Path(guid): Path<ServicePlanGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let names = ["fields[service_offering.service_broker]"];
    let parsed = ListQuery::parse_single(query.as_deref(), PLAN_INCLUDES, &names);
    let db = visit.cc.db().clone();
    let found: Result<Value> = db
        .read(move |tx| {
            refuse_strangers(tx, &visit)?;
            let query = parsed?;
            let fields = Fields::read(&query, PLAN_FIELDS)?;
            let (urls, caller) = (&visit.urls, visit.ctx.as_ref().map(|ctx| &ctx.caller));
            let plan = model::service_plans::find_visible(tx, caller, &guid)?;
            let plan = plan.ok_or_else(|| Error::not_found("Service plan"))?;
            let one = std::slice::from_ref(&plan);
            let included = presenter::included(tx, &query, &fields, one, urls)?;
            let shown = presenter::present_from(tx, &plan, urls)?;
            Ok(with_included(shown, included))
        })
        .await;
    Ok(Json(found?))
}

/// A plan, and the proof that the caller may change it; what it does not see is not there.
fn get_changeable(
    tx: &ReadTx<'_>,
    ctx: &Context,
    guid: &ServicePlanGuid,
) -> Result<(ServicePlan, MayChangeBroker)> {
    let not_found = || Error::not_found("Service plan");
    let plan = model::service_plans::find(tx, guid)?.ok_or_else(not_found)?;
    match ctx.may_change_broker(tx, plan.offering.broker_space.as_ref()) {
        Ok(may) => Ok((plan, may)),
        Err(refusal) => {
            let visible = model::service_plans::find_visible(tx, Some(&ctx.caller), guid)?;
            Err(match visible {
                Some(_) => refusal,
                None => refusal.told_as(not_found),
            })
        }
    }
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<ServicePlanGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::service_offerings::metadata(body);
    ctx.write(move |tx, ctx| {
        let (plan, may) = get_changeable(tx, ctx, &guid)?;
        let (metadata, _) = change?;
        actions::service_plans::update(tx, &may, &plan, &metadata)?;
        presenter::present_from(tx, &plan, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<ServicePlanGuid>,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let (plan, may) = get_changeable(tx, ctx, &guid)?;
        actions::service_plans::delete(tx, &may, &plan)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
