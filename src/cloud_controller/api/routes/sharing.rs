//! Letting apps of other spaces be destinations of a route, and giving a route to another space.
//! All of it takes the feature flag `route_sharing`.

use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use serde_json::{Value, json};

use crate::base::guid::{RouteGuid, SpaceGuid};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::routes::Route;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::permits::{MaySupport, MayWrite};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, Urls};
use crate::cloud_controller::{actions, model, payload};
use crate::db::ReadTx;

const FLAG: &str = "route_sharing";

pub(super) async fn show(ctx: Context, Path(guid): Path<RouteGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        actions::feature_flags::require(tx, &ctx.caller, FLAG)?;
        model::routes::get_visible(tx, &ctx.caller, &guid)?;
        present(tx, &guid, &ctx.urls)
    })
    .await
}

pub(super) async fn share(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let guests = payload::routes::share(body);
    ctx.write(move |tx, ctx| {
        actions::feature_flags::require(tx, &ctx.caller, FLAG)?;
        let route = model::routes::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &route.space_guid)?;
        let guests = guests?;
        let guests = writable_guests(tx, ctx, &route, &guests)?;
        actions::routes::share(tx, &may, &route, &guests)?;
        present(tx, &guid, &ctx.urls)
    })
    .await
}

pub(super) async fn unshare(
    ctx: Context,
    Path((guid, space)): Path<(RouteGuid, SpaceGuid)>,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        actions::feature_flags::require(tx, &ctx.caller, FLAG)?;
        let route = model::routes::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &route.space_guid)?;
        let unable = format!(
            "Unable to unshare route '{}' from space '{space}'.",
            route.url()
        );
        let (guest, _) = target(tx, ctx, &space, &unable)?;
        if space == route.space_guid {
            return Err(Error::unprocessable(format!(
                "{unable} Routes cannot be removed from the space that owns them."
            )));
        }
        actions::routes::unshare(tx, &may, &route, &guest)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// The old owner keeps its access: the route is shared with it.
pub(super) async fn transfer(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let space = payload::routes::transfer(body);
    ctx.write(move |tx, ctx| {
        actions::feature_flags::require(tx, &ctx.caller, FLAG)?;
        let space = space?;
        let route = model::routes::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &route.space_guid)?;
        let unable = format!(
            "Unable to transfer owner of route '{}' to space '{space}'.",
            route.url()
        );
        let (owner, target) = target(tx, ctx, &space, &unable)?;
        if !may_use_domain(tx, &route, &target)? {
            return Err(Error::unprocessable(format!(
                "{unable} Target space does not have access to route's domain"
            )));
        }
        if route.space_guid != space {
            actions::routes::transfer(tx, &may, route, &owner)?;
        }
        Ok(Json(json!({ "status": "ok" })))
    })
    .await
}

fn may_use_domain(tx: &ReadTx<'_>, route: &Route, space: &Space) -> Result<bool> {
    let domain = model::domains::find(tx, &route.domain_guid)?;
    match domain {
        Some(domain) => model::domains::usable_by(tx, &domain, &space.organization_guid),
        None => Ok(false),
    }
}

/// The space to give to or take from, if the caller may write there.
fn target(
    tx: &ReadTx<'_>,
    ctx: &Context,
    guid: &SpaceGuid,
    unable: &str,
) -> Result<(MaySupport, Space)> {
    let refuse = |why: &str| Error::unprocessable(format!("{unable} {why}"));
    let space = model::spaces::find_visible(tx, &ctx.caller, guid)?
        .ok_or_else(|| refuse("Ensure the space exists and that you have access to it."))?;
    let may = ctx
        .may_support(tx, guid)
        .map_err(|error| match error.kind() {
            Kind::OrgSuspended | Kind::SpaceSuspended => {
                refuse("The target organization or space is suspended.")
            }
            Kind::NotAuthorized => refuse("You don't have write permission for the target space."),
            _ => error,
        })?;
    Ok((may, space))
}

/// Those a route is to be shared with: 422 unless the caller may write in all of them.
fn writable_guests(
    tx: &ReadTx<'_>,
    ctx: &Context,
    route: &Route,
    guests: &[SpaceGuid],
) -> Result<Vec<MayWrite>> {
    let mut writable = Vec::new();
    let (mut hidden, mut read_only) = (Vec::new(), Vec::new());
    for guid in guests {
        if model::spaces::find_visible(tx, &ctx.caller, guid)?.is_none() {
            hidden.push(format!("'{guid}'"));
            continue;
        }
        match ctx.may_write(tx, guid) {
            Ok(may) => writable.push(may),
            Err(error) if error.kind() == Kind::ServerError => return Err(error),
            Err(_) => read_only.push(format!("'{guid}'")),
        }
    }
    let url = route.url();
    let mut faults = Vec::new();
    if !hidden.is_empty() {
        faults.push(format!(
            "Unable to share route {url} with spaces [{}]. Ensure the spaces exist and that you have access to them.",
            hidden.join(", ")
        ));
    }
    if !read_only.is_empty() {
        faults.push(format!(
            "Unable to share route {url} with spaces [{}]. Write permission is required in order to share a route with \
             a space and the containing organization must not be suspended.",
            read_only.join(", ")
        ));
    }
    if !faults.is_empty() {
        return Err(Error::unprocessable(faults.join("\n")));
    }
    if guests.contains(&route.space_guid) {
        return Err(Error::unprocessable(format!(
            "Unable to share route '{url}' with space '{}'. Routes cannot be shared into the space where they were \
             created.",
            route.space_guid
        )));
    }
    Ok(writable)
}

fn present(tx: &ReadTx<'_>, guid: &RouteGuid, urls: &Urls) -> Result<Json<Value>> {
    let spaces = model::routes::shared_spaces(tx, guid)?;
    let data: Vec<Value> = spaces.iter().map(|guid| json!({ "guid": guid })).collect();
    let path = format!("/v3/routes/{guid}/relationships/shared_spaces");
    Ok(Json(
        json!({ "data": data, "links": { "self": urls.link(&path) } }),
    ))
}
