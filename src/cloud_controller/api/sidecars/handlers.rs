//! Requests on sidecars.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use crate::base::guid::{AppGuid, ProcessGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::api::sidecars::present;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::sidecars::Sidecar;
use crate::cloud_controller::payload::sidecars::NewSidecar;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody};
use crate::cloud_controller::{actions, model, payload};
use crate::db::ReadTx;

pub(super) async fn list_of_app(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::sidecars::LIST)?;
    ctx.read(move |tx, ctx| {
        model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let found = model::sidecars::list_of_app(tx, &guid, None, &query)?;
        Ok(Json(found.present(
            &query,
            &ctx.urls,
            &format!("/v3/apps/{guid}/sidecars"),
            present,
        )?))
    })
    .await
}

pub(super) async fn list_of_process(
    ctx: Context,
    Path(guid): Path<ProcessGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::sidecars::LIST)?;
    ctx.read(move |tx, ctx| {
        let process = model::processes::get_visible(tx, &ctx.caller, &guid)?;
        let found =
            model::sidecars::list_of_app(tx, &process.app_guid, Some(&process.kind), &query)?;
        let path = format!("/v3/processes/{guid}/sidecars");
        Ok(Json(found.present(&query, &ctx.urls, &path, present)?))
    })
    .await
}

/// A sidecar of an app the caller sees.
fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
) -> Result<(model::apps::App, Sidecar)> {
    let missing = || Error::not_found("Sidecar");
    let sidecar = model::sidecars::find(tx, guid)?.ok_or_else(missing)?;
    let app = model::apps::find_visible(tx, caller, &sidecar.app_guid)?.ok_or_else(missing)?;
    Ok((app, sidecar))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let (_, sidecar) = get_visible(tx, &ctx.caller, &guid)?;
        Ok(Json(present(&sidecar)))
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let wanted = payload::sidecars::create(body)?;
        let wanted = NewSidecar {
            name: wanted.name.unwrap_or_default(),
            command: wanted.command.unwrap_or_default(),
            process_types: wanted.process_types.unwrap_or_default(),
            memory: wanted.memory.flatten(),
            origin: "user",
        };
        let sidecar = actions::sidecars::create(tx, &may, &app, wanted)?;
        Ok((StatusCode::CREATED, Json(present(&sidecar))))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<String>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let (app, sidecar) = get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let change = payload::sidecars::update(body)?;
        let sidecar = actions::sidecars::update(tx, &may, &app, sidecar, change)?;
        Ok(Json(present(&sidecar)))
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<String>) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let (app, sidecar) = get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        actions::sidecars::delete(tx, &may, &app, &sidecar)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
