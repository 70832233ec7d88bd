//! Letting other organizations use a private domain, and ending that.

use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::{DomainGuid, OrganizationGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::domains::Domain;
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
        check_guests(tx, &ctx.caller, &guests, domain.organization_guid.as_ref())?;
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
            let found = model::organizations::by_guids(tx, &[organization.to_string()])?;
            let Some(guest) = found.first() else {
                return Err(no_such_organization(&organization));
            };
            may_unshare(tx, ctx, &domain, &organization)?;
            if !ctx.caller.sees_organization(tx, &organization)? {
                return Err(no_such_organization(&organization));
            }
            if !model::domains::is_shared_with(tx, &guid, &organization)? {
                return Err(Error::unprocessable(format!(
                    "Unable to unshare domain from organization with name '{}'. Ensure the domain is shared to this \
                     organization.",
                    guest.name
                )));
            }
            if model::routes::has_routes_in(tx, &guid, &organization)? {
                return Err(Error::unprocessable(
                    "This domain has associated routes in this organization. Delete the routes before unsharing.",
                ));
            }
            model::domains::unshare(tx, &guid, &organization)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

/// Managers of the owner may, and those of the guest.
fn may_unshare(
    tx: &ReadTx<'_>,
    ctx: &Context,
    domain: &Domain,
    guest: &OrganizationGuid,
) -> Result<()> {
    let Err(refusal) = ctx.may_change_domain(tx, domain) else {
        return Ok(());
    };
    match ctx.may_manage(tx, guest) {
        Ok(_) => Ok(()),
        Err(_) => Err(refusal),
    }
}

/// 422 unless a domain may be shared with all of these by this caller.
pub(super) fn check_guests(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guests: &[OrganizationGuid],
    owner: Option<&OrganizationGuid>,
) -> Result<()> {
    let guids: Vec<String> = guests.iter().map(ToString::to_string).collect();
    let found = model::organizations::by_guids(tx, &guids)?;
    if let Some(missing) = guests
        .iter()
        .find(|guid| found.iter().all(|o| o.guid != **guid))
    {
        return Err(Error::unprocessable(format!(
            "Organization with guid '{missing}' does not exist, or you do not have access to it."
        )));
    }
    for organization in &found {
        let (guid, name) = (&organization.guid, &organization.name);
        if !caller.sees_organization(tx, guid)? {
            return Err(Error::unprocessable(format!(
                "Organization with guid '{guid}' either does not exist, or you do not have access to it."
            )));
        }
        let manages =
            caller.is_admin() || caller.has_organization_role(tx, guid, "organization_manager")?;
        if !manages {
            return Err(Error::unprocessable(format!(
                "You do not have sufficient permissions for organization '{name}' to share domain."
            )));
        }
        if organization.suspended && !caller.is_admin() {
            return Err(Error::unprocessable(format!(
                "Organization '{name}' is suspended."
            )));
        }
    }
    if owner.is_some_and(|owner| guests.contains(owner)) {
        return Err(Error::unprocessable(
            "Domain cannot be shared with owning organization.",
        ));
    }
    Ok(())
}

/// 422: unknown or hidden.
pub(super) fn no_such_organization(guid: &OrganizationGuid) -> Error {
    Error::unprocessable(format!(
        "Organization with guid '{guid}' does not exist or you do not have access to it."
    ))
}
