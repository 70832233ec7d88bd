//! Requests on sidecars.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::actions::NewSidecar;
use super::store::Sidecar;
use super::{actions, payload, present, store};
use crate::base::guid::{AppGuid, ProcessGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery,
};
use crate::cloud_controller::{apps, processes};
use crate::db::ReadTx;

pub(super) async fn list_of_app(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            apps::store::get_visible(tx, &caller, &guid)?;
            let found = store::list_of_app(tx, &guid, None, &query)?;
            Ok::<_, ApiError>(Json(found.present(
                &query,
                &urls,
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
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let process = processes::store::get_visible(tx, &caller, &guid)?;
            let found = store::list_of_app(tx, &process.app_guid, Some(&process.kind), &query)?;
            let path = format!("/v3/processes/{guid}/sidecars");
            Ok::<_, ApiError>(Json(found.present(&query, &urls, &path, present)?))
        })
        .await
}

/// A sidecar of an app the caller sees.
fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &str) -> ApiResult<(apps::App, Sidecar)> {
    let missing = || ApiError::not_found("Sidecar");
    let sidecar = store::find(tx, guid)?.ok_or_else(missing)?;
    let app = apps::store::find_visible(tx, caller, &sidecar.app_guid)?.ok_or_else(missing)?;
    Ok((app, sidecar))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let (_, sidecar) = get_visible(tx, &caller, &guid)?;
            Ok::<_, ApiError>(Json(present(&sidecar)))
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let app = apps::store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &app.space_guid)?;
            let wanted = payload::create(body)?;
            let wanted = NewSidecar {
                name: wanted.name.unwrap_or_default(),
                command: wanted.command.unwrap_or_default(),
                process_types: wanted.process_types.unwrap_or_default(),
                memory: wanted.memory.flatten(),
                origin: "user",
            };
            let sidecar = actions::create(tx, &recorder, &app, wanted)?;
            Ok::<_, ApiError>((StatusCode::CREATED, Json(present(&sidecar))))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<String>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, sidecar) = get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &app.space_guid)?;
            let sidecar = actions::update(tx, &recorder, sidecar, payload::update(body)?)?;
            Ok::<_, ApiError>(Json(present(&sidecar)))
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<String>) -> ApiResult<StatusCode> {
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, sidecar) = get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &app.space_guid)?;
            store::delete(tx, &sidecar.guid)?;
            Ok::<_, ApiError>(StatusCode::NO_CONTENT)
        })
        .await
}
