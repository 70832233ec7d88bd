//! Requests on service brokers.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::presenter;
use crate::base::guid::ServiceBrokerGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::service_brokers::ServiceBroker;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody};
use crate::cloud_controller::{actions, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::service_brokers::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::service_brokers::list_visible(tx, &ctx.caller, &query)?;
        let shown = presenter::present_all(tx, &found.rows, &ctx.urls)?;
        let body = found.present_values(&query, &ctx.urls, "/v3/service_brokers", shown)?;
        Ok(Json(body))
    })
    .await
}

fn get(tx: &ReadTx<'_>, guid: &ServiceBrokerGuid) -> Result<ServiceBroker> {
    let broker = model::service_brokers::find(tx, guid)?;
    broker.ok_or_else(|| Error::not_found("Service broker"))
}

/// A broker that the caller may see in order to change it: whoever sees its space, or everything.
fn get_changeable(
    tx: &ReadTx<'_>,
    ctx: &Context,
    guid: &ServiceBrokerGuid,
) -> Result<ServiceBroker> {
    let broker = get(tx, guid)?;
    let seen = match &broker.space_guid {
        None => ctx.caller.sees_all(),
        Some(space) => ctx.caller.sees_space(tx, space)?,
    };
    if seen {
        Ok(broker)
    } else {
        Err(Error::not_found("Service broker"))
    }
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<ServiceBrokerGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let broker = get(tx, &guid)?;
        let seen = match &broker.space_guid {
            None => ctx.caller.sees_all(),
            Some(space) => ctx.caller.sees_services_of_space(tx, space)?,
        };
        if !seen {
            return Err(Error::not_found("Service broker"));
        }
        presenter::present_from(tx, &broker, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn create(ctx: Context, JsonBody(body): JsonBody) -> ApiResult<Response> {
    let wanted = payload::service_brokers::create(body)?;
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        if let Some(space) = &wanted.space {
            let flag = "space_scoped_private_broker_creation";
            actions::feature_flags::require(tx, &ctx.caller, flag)?;
            if model::spaces::find_visible(tx, &ctx.caller, space)?.is_none() {
                return Err(Error::unprocessable(
                    "Invalid space. Ensure that the space exists and you have access to it.",
                ));
            }
        }
        let may = ctx.may_change_broker(tx, wanted.space.as_ref())?;
        let job = actions::service_brokers::create(tx, &may, &vault, wanted)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<ServiceBrokerGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Response> {
    let wanted = payload::service_brokers::update(body)?;
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let broker = get_changeable(tx, ctx, &guid)?;
        let may = ctx.may_change_broker(tx, broker.space_guid.as_ref())?;
        if wanted.needs_job() {
            let job = actions::service_brokers::start_update(tx, &may, &vault, broker, wanted)?;
            return Ok(v3::jobs::accepted(&job, &ctx.urls));
        }
        actions::service_brokers::update_metadata(tx, &may, &broker, &wanted.metadata)?;
        let shown = presenter::present_from(tx, &broker, &ctx.urls)?;
        Ok(Json(shown).into_response())
    })
    .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<ServiceBrokerGuid>,
) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let broker = get_changeable(tx, ctx, &guid)?;
        let may = ctx.may_change_broker(tx, broker.space_guid.as_ref())?;
        actions::service_brokers::delete(tx, &may, &broker)?;
        let job = v3::jobs::record_complete(tx, "service_broker.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}
