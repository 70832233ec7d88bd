//! Requests on destinations.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::destination::{Destination, NewDestination};
use super::payload::{self, Mode};
use super::{actions, presenter, store};
use crate::base::guid::{AppGuid, DestinationGuid, RouteGuid};
use crate::cloud_controller::routes::actions::Cause;
use crate::cloud_controller::routes::{Route, store as routes};
use crate::cloud_controller::v3::{ApiError, ApiResult, Caller, Context, JsonBody, ListQuery};
use crate::db::ReadTx;

pub(super) async fn list(
    ctx: Context,
    Path(guid): Path<RouteGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), &[], &["guids", "app_guids"])
        .map_err(ApiError::as_unprocessable)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let route = routes::get_visible(tx, &caller, &guid)?;
            let mut found = store::of_route(tx, &route.guid)?;
            if let Some(guids) = query.values("guids") {
                found.retain(|d| guids.iter().any(|guid| guid == d.guid.as_str()));
            }
            if let Some(guids) = query.values("app_guids") {
                found.retain(|d| guids.iter().any(|guid| guid == d.key.app_guid.as_str()));
            }
            Ok::<_, ApiError>(Json(presenter::present_all(&guid, &found, &urls)))
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
        payload::destinations(body, Mode::Insert)?,
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
        payload::destinations(body, Mode::Replace)?,
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
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let route = writable(tx, &caller, &guid)?;
            refuse_hidden_apps(tx, &caller, &wanted)?;
            let act = match mode {
                Mode::Insert => actions::map,
                Mode::Replace => actions::replace,
            };
            act(tx, &recorder, &route, &wanted, Cause::Request)?;
            let all = store::of_route(tx, &guid)?;
            Ok(Json(presenter::present_all(&guid, &all, &urls)))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path((guid, destination)): Path<(RouteGuid, DestinationGuid)>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let protocol = payload::update(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let route = writable(tx, &caller, &guid)?;
            let found = find(tx, &route, &destination)?;
            let changed = match protocol {
                Some(protocol) => actions::set_protocol(tx, &recorder, found, protocol)?,
                None => found,
            };
            Ok(Json(presenter::present_one(&changed, &urls)))
        })
        .await
}

pub(super) async fn delete(
    ctx: Context,
    Path((guid, destination)): Path<(RouteGuid, DestinationGuid)>,
) -> ApiResult<StatusCode> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let route = writable(tx, &caller, &guid)?;
            let found = find(tx, &route, &destination)?;
            if found.weight.is_some() {
                return Err(ApiError::unprocessable(
                    "Weighted destinations cannot be deleted individually.",
                ));
            }
            actions::unmap(tx, &recorder, &route, &found, Cause::Request)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

fn writable(tx: &ReadTx<'_>, caller: &Caller, guid: &RouteGuid) -> ApiResult<Route> {
    let route = routes::get_visible(tx, caller, guid)?;
    caller.may_support_space(tx, &route.space_guid)?;
    Ok(route)
}

fn find(tx: &ReadTx<'_>, route: &Route, guid: &DestinationGuid) -> ApiResult<Destination> {
    let all = store::of_route(tx, &route.guid)?;
    all.into_iter().find(|d| d.guid == *guid).ok_or_else(|| {
        ApiError::unprocessable(
            "Unable to unmap route from destination. Ensure the route has a destination with this guid.",
        )
    })
}

/// 422 for apps that exist, but not for this caller.
fn refuse_hidden_apps(
    tx: &ReadTx<'_>,
    caller: &Caller,
    wanted: &[NewDestination],
) -> ApiResult<()> {
    let guids: Vec<AppGuid> = wanted.iter().map(|new| new.app_guid.clone()).collect();
    let existing = store::apps(tx, &guids)?;
    let visible = store::visible_apps(tx, caller, &guids)?;
    let hidden: Vec<&str> = guids
        .iter()
        .filter(|guid| existing.contains_key(guid) && !visible.contains(guid))
        .map(AppGuid::as_str)
        .collect();
    if hidden.is_empty() {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!(
        "App(s) with guid(s) \"{}\" you do not have access.",
        hidden.join("\", \"")
    )))
}
