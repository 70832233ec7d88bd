//! Requests on destinations.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::{AppGuid, DestinationGuid, RouteGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::destinations::{Destination, NewDestination};
use crate::cloud_controller::model::routes::Route;
use crate::cloud_controller::payload::destinations::Mode;
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody};
use crate::cloud_controller::{actions, model, payload};
use crate::db::ReadTx;

pub(super) async fn list(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), &[], &["guids", "app_guids"])
        .map_err(Error::as_unprocessable)?;
    ctx.read(move |tx, ctx| {
        let route = model::routes::get_visible(tx, &ctx.caller, &guid)?;
        let mut found = model::destinations::of_route(tx, &route.guid)?;
        if let Some(guids) = query.values("guids") {
            found.retain(|d| guids.iter().any(|guid| guid == d.guid.as_str()));
        }
        if let Some(guids) = query.values("app_guids") {
            found.retain(|d| guids.iter().any(|guid| guid == d.key.app_guid.as_str()));
        }
        Ok(Json(presenter::present_all(&guid, &found, &ctx.urls)))
    })
    .await
}

pub(super) async fn insert(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    change(
        ctx,
        guid,
        payload::destinations::destinations(body, Mode::Insert)?,
        Mode::Insert,
    )
    .await
}

pub(super) async fn replace(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    change(
        ctx,
        guid,
        payload::destinations::destinations(body, Mode::Replace)?,
        Mode::Replace,
    )
    .await
}

async fn change(
    ctx: Context,
    guid: RouteGuid,
    wanted: Vec<NewDestination>,
    mode: Mode,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let (may, route) = writable(tx, ctx, &guid)?;
        refuse_hidden_apps(tx, &ctx.caller, &wanted)?;
        let act = match mode {
            Mode::Insert => actions::destinations::map,
            Mode::Replace => actions::destinations::replace,
        };
        act(tx, &may, &route, &wanted, Cause::Request)?;
        let all = model::destinations::of_route(tx, &guid)?;
        Ok(Json(presenter::present_all(&guid, &all, &ctx.urls)))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path((guid, destination)): Path<(RouteGuid, DestinationGuid)>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let protocol = payload::destinations::update(body)?;
    ctx.write(move |tx, ctx| {
        let (may, route) = writable(tx, ctx, &guid)?;
        let found = find(tx, &route, &destination)?;
        let changed = match protocol {
            Some(protocol) => {
                actions::destinations::set_protocol(tx, &may, &route, found, protocol)?
            }
            None => found,
        };
        Ok(Json(presenter::present_one(&changed, &ctx.urls)))
    })
    .await
}

pub(super) async fn delete(
    ctx: Context,
    Path((guid, destination)): Path<(RouteGuid, DestinationGuid)>,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let (may, route) = writable(tx, ctx, &guid)?;
        let found = find(tx, &route, &destination)?;
        if found.weight.is_some() {
            return Err(Error::unprocessable(
                "Weighted destinations cannot be deleted individually.",
            ));
        }
        actions::destinations::unmap(tx, &may, &route, &found, Cause::Request)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn writable(tx: &ReadTx<'_>, ctx: &Context, guid: &RouteGuid) -> Result<(MaySupport, Route)> {
    let route = model::routes::get_visible(tx, &ctx.caller, guid)?;
    Ok((ctx.may_support(tx, &route.space_guid)?, route))
}

fn find(tx: &ReadTx<'_>, route: &Route, guid: &DestinationGuid) -> Result<Destination> {
    let all = model::destinations::of_route(tx, &route.guid)?;
    all.into_iter().find(|d| d.guid == *guid).ok_or_else(|| {
        Error::unprocessable(
            "Unable to unmap route from destination. Ensure the route has a destination with this guid.",
        )
    })
}

/// 422 for apps that exist, but not for this caller.
fn refuse_hidden_apps(tx: &ReadTx<'_>, caller: &Caller, wanted: &[NewDestination]) -> Result<()> {
    let guids: Vec<AppGuid> = wanted.iter().map(|new| new.app_guid.clone()).collect();
    let existing = model::destinations::apps(tx, &guids)?;
    let visible = model::destinations::visible_apps(tx, caller, &guids)?;
    let hidden: Vec<&str> = guids
        .iter()
        .filter(|guid| existing.contains_key(guid) && !visible.contains(guid))
        .map(AppGuid::as_str)
        .collect();
    if hidden.is_empty() {
        return Ok(());
    }
    Err(Error::unprocessable(format!(
        "App(s) with guid(s) \"{}\" you do not have access.",
        hidden.join("\", \"")
    )))
}
