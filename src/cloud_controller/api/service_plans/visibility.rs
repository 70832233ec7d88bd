//! `/v3/service_plans/:guid/visibility`.

use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use serde_json::{Value, json};

use crate::base::guid::{OrganizationGuid, ServicePlanGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::actions::service_plans::Mode;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody};
use crate::cloud_controller::{actions, model, payload};
use crate::db::ReadTx;

fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &ServicePlanGuid) -> Result<ServicePlan> {
    let plan = model::service_plans::find_visible(tx, Some(caller), guid)?;
    plan.ok_or_else(|| Error::not_found("Service plan"))
}

fn present(tx: &ReadTx<'_>, caller: &Caller, plan: &ServicePlan, mode: Mode) -> Result<Value> {
    let mut shown = json!({ "type": plan.visibility_type() });
    if let ("space", Some(space)) = (plan.visibility_type(), &plan.offering.broker_space) {
        let name = model::spaces::find(tx, space)?.map(|space| space.name);
        shown["space"] = json!({ "guid": space, "name": name });
    }
    if plan.visibility_type() == "organization" && mode == Mode::Replace {
        let all = model::service_plans::organizations(tx, caller, &plan.guid)?;
        let all = all
            .iter()
            .map(|(guid, name)| json!({ "guid": guid, "name": name }));
        shown["organizations"] = all.collect();
    }
    Ok(shown)
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<ServicePlanGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let plan = get_visible(tx, &ctx.caller, &guid)?;
        present(tx, &ctx.caller, &plan, Mode::Replace).map(Json)
    })
    .await
}

pub(super) async fn replace(
    ctx: Context,
    Path(guid): Path<ServicePlanGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    set(ctx, guid, body, Mode::Replace).await
}

pub(super) async fn append(
    ctx: Context,
    Path(guid): Path<ServicePlanGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    set(ctx, guid, body, Mode::Append).await
}

async fn set(
    ctx: Context,
    guid: ServicePlanGuid,
    body: Body,
    mode: Mode,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let plan = get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_change_broker(tx, plan.offering.broker_space.as_ref())?;
        let wanted = payload::service_offerings::visibility(body)?;
        let plan = actions::service_plans::set_visibility(tx, &may, plan, &wanted, mode)?;
        present(tx, &ctx.caller, &plan, mode).map(Json)
    })
    .await
}

pub(super) async fn hide(
    ctx: Context,
    Path((guid, organization)): Path<(ServicePlanGuid, OrganizationGuid)>,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let plan = get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_change_broker(tx, plan.offering.broker_space.as_ref())?;
        actions::service_plans::hide_in(tx, &may, &plan, &organization)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
