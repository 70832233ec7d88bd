//! Requests on tasks.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::presenter::Command;
use super::store::Task;
use super::{actions, payload, presenter, store};
use crate::base::guid::{AppGuid, TaskGuid};
use crate::cloud_controller::desired::Snapshots;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, JsonBody, ListBody, ListQuery, Listed, Metadata, ResourceType,
    Urls,
};
use crate::cloud_controller::{apps, feature_flags};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, None)?;
            let command = Command::LeftOut;
            present_list(tx, &found, &query, ("/v3/tasks", command), &urls)
        })
        .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_OF_APP)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let app = apps::store::get_visible(tx, &caller, &guid)?;
            let command = caller.sees_secrets(tx, &app.space_guid)?.into();
            let found = store::list_visible(tx, &caller, &query, Some(&guid))?;
            let path = format!("/v3/apps/{guid}/tasks");
            present_list(tx, &found, &query, (&path, command), &urls)
        })
        .await
}

fn present_list(
    tx: &ReadTx<'_>,
    found: &Listed<Task>,
    query: &ListQuery,
    (path, command): (&str, Command),
    urls: &Urls,
) -> ApiResult<Json<ListBody>> {
    let guids = found.rows.iter().map(|task| task.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Task, guids)?;
    Ok(Json(found.present(query, urls, path, |task| {
        presenter::present(task, metadata.of(task.guid.as_str()), command, urls)
    })?))
}

fn present_one(
    tx: &ReadTx<'_>,
    task: &Task,
    command: Command,
    urls: &Urls,
) -> ApiResult<Json<Value>> {
    let metadata = Metadata::load(tx, ResourceType::Task, task.guid.as_str())?;
    Ok(Json(presenter::present(task, &metadata, command, urls)))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<TaskGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let task = store::get_visible(tx, &caller, &guid)?;
            let command = caller.sees_secrets(tx, &task.space_guid)?.into();
            present_one(tx, &task, command, &urls)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let (recorder, snapshots) = (ctx.recorder(), Snapshots::of(&ctx.cc));
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            feature_flags::require(tx, &caller, "task_creation")?;
            let wanted = payload::create(body)?;
            let app = apps::store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &app.space_guid)?;
            let task = actions::create(tx, &recorder, &snapshots, &app, wanted)?;
            let shown = present_one(tx, &task, Command::Shown, &urls)?;
            Ok::<_, ApiError>((StatusCode::ACCEPTED, shown))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<TaskGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let metadata = payload::update(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let task = store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &task.space_guid)?;
            let task = actions::update(tx, &recorder, task, &metadata)?;
            present_one(tx, &task, Command::Shown, &urls)
        })
        .await
}

pub(super) async fn cancel(
    ctx: Context,
    Path(guid): Path<TaskGuid>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let task = store::get_visible(tx, &caller, &guid)?;
            caller.may_support_space(tx, &task.space_guid)?;
            let task = actions::cancel(tx, &recorder, task)?;
            let shown = present_one(tx, &task, Command::Shown, &urls)?;
            Ok::<_, ApiError>((StatusCode::ACCEPTED, shown))
        })
        .await
}
