//! Letting other organizations use a private domain, and ending that.

use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::{DomainGuid, OrganizationGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody};
use crate::cloud_controller::{actions, model, payload};
use crate::db::ReadTx;

/// `POST /v3/domains/:guid/relationships/shared_organizations`.
pub(super) async fn share(
    ctx: Context,
    Path(guid): Path<DomainGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let guests = payload::domains::share(body)?;
    ctx.write(move |tx, ctx| {
        let domain = model::domains::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_change_domain(tx, &domain)?;
        let owner = domain.organization_guid.as_ref();
        let guests = actions::domains::guests(tx, &ctx.caller, &ctx.recorder(), &guests, owner)?;
        actions::domains::share(tx, &may, &domain, &guests)?;
        present(tx, &ctx.caller, &guid)
    })
    .await
}

/// `GET /v3/domains/:guid/relationships/shared_organizations`.
pub(super) async fn show(ctx: Context, Path(guid): Path<DomainGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        model::domains::get_visible(tx, &ctx.caller, &guid)?;
        present(tx, &ctx.caller, &guid)
    })
    .await
}

fn present(tx: &ReadTx<'_>, caller: &Caller, guid: &DomainGuid) -> Result<Json<Value>> {
    let shared = model::domains::shared_with(tx, caller, guid)?;
    Ok(Json(json!({ "data": presenter::present_guids(&shared) })))
}

/// `DELETE /v3/domains/:guid/relationships/shared_organizations/:organization`.
pub(super) async fn unshare(
    ctx: Context,
    Path((guid, organization)): Path<(DomainGuid, OrganizationGuid)>,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let domain = model::domains::get_visible(tx, &ctx.caller, &guid)?;
        let guest = actions::domains::find_organization(tx, &organization)?;
        let may = ctx.may_unshare_domain(tx, &domain, &organization)?;
        if !ctx.caller.sees_organization(tx, &organization)? {
            return Err(actions::domains::no_such_organization(&organization));
        }
        actions::domains::unshare(tx, &may, &domain, &guest)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
