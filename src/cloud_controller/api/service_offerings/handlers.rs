//! Requests on service offerings.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::{presenter, refuse_strangers};
use crate::base::guid::ServiceOfferingGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::service_offerings::ServiceOffering;
use crate::cloud_controller::payload::service_fields::{Fields, check_available};
use crate::cloud_controller::payload::service_offerings::{OFFERING_FIELDS, OFFERINGS};
use crate::cloud_controller::permits::MayChangeBroker;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Visit, with_included};
use crate::cloud_controller::{actions, flows, model, payload};
use crate::db::ReadTx;

const BROKER: &str = "service_broker";

pub(super) async fn list(visit: Visit, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let parsed = ListQuery::parse(query.as_deref(), &OFFERINGS);
    let db = visit.cc.db().clone();
    let found: Result<ListBody> = db
        .read(move |tx| {
            refuse_strangers(tx, &visit)?;
            let query = parsed?;
            check_available(&query)?;
            let fields = Fields::read(&query, OFFERING_FIELDS)?;
            let (urls, caller) = (&visit.urls, visit.ctx.as_ref().map(|ctx| &ctx.caller));
            let found = model::service_offerings::list_visible(tx, caller, &query)?;
            let all = found.rows.iter();
            let included = presenter::included_brokers(tx, all, &fields, BROKER, urls)?;
            let shown = presenter::present_all(tx, &found.rows, urls)?;
            let body = found.present_values(&query, urls, "/v3/service_offerings", shown)?;
            Ok(body.including(included))
        })
        .await;
    Ok(Json(found?))
}

pub(super) async fn show(
    visit: Visit,
    Path(guid): Path<ServiceOfferingGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let db = visit.cc.db().clone();
    let found: Result<Value> = db
        .read(move |tx| {
            refuse_strangers(tx, &visit)?;
            let (urls, caller) = (&visit.urls, visit.ctx.as_ref().map(|ctx| &ctx.caller));
            let offering = model::service_offerings::find_visible(tx, caller, &guid)?;
            let offering = offering.ok_or_else(|| Error::not_found("Service offering"))?;
            let names = ["fields[service_broker]"];
            let query = ListQuery::parse_single(query.as_deref(), &[], &names)?;
            let fields = Fields::read(&query, OFFERING_FIELDS)?;
            let one = std::iter::once(&offering);
            let included = presenter::included_brokers(tx, one, &fields, BROKER, urls)?;
            let shown = presenter::present_from(tx, &offering, urls)?;
            Ok(with_included(shown, included))
        })
        .await;
    Ok(Json(found?))
}

/// An offering, and the proof that the caller may change it; what it does not see is not there.
fn get_changeable(
    tx: &ReadTx<'_>,
    ctx: &Context,
    guid: &ServiceOfferingGuid,
) -> Result<(ServiceOffering, MayChangeBroker)> {
    let not_found = || Error::not_found("Service offering");
    let offering = model::service_offerings::find(tx, guid)?.ok_or_else(not_found)?;
    match ctx.may_change_broker(tx, offering.broker_space.as_ref()) {
        Ok(may) => Ok((offering, may)),
        Err(refusal) => {
            let visible = model::service_offerings::find_visible(tx, Some(&ctx.caller), guid)?;
            Err(match visible {
                Some(_) => refusal,
                None => refusal.told_as(not_found),
            })
        }
    }
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<ServiceOfferingGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::service_offerings::metadata(body);
    ctx.write(move |tx, ctx| {
        let (offering, may) = get_changeable(tx, ctx, &guid)?;
        let (metadata, _) = change?;
        actions::service_plans::update_offering(tx, &may, &offering, &metadata)?;
        presenter::present_from(tx, &offering, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<ServiceOfferingGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<StatusCode> {
    let purge = payload::service_offerings::purge(query.as_deref())?;
    ctx.write(move |tx, ctx| {
        let (offering, may) = get_changeable(tx, ctx, &guid)?;
        if purge {
            flows::cascades::purge_offering(tx, &may, &offering)?;
        } else {
            actions::service_plans::delete_offering(tx, &may, &offering)?;
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
