//! Requests on tasks.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use super::presenter::Command;
use crate::base::guid::{AppGuid, TaskGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::tasks::Task;
use crate::cloud_controller::query::{ListQuery, Listed};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls};
use crate::cloud_controller::{actions, flows, model, payload};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::tasks::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::tasks::list_visible(tx, &ctx.caller, &query, None)?;
        let command = Command::LeftOut;
        present_list(tx, &found, &query, ("/v3/tasks", command), &ctx.urls)
    })
    .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::tasks::LIST_OF_APP)?;
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let command = ctx.caller.sees_secrets(tx, &app.space_guid)?.into();
        let found = model::tasks::list_visible(tx, &ctx.caller, &query, Some(&guid))?;
        let path = format!("/v3/apps/{guid}/tasks");
        present_list(tx, &found, &query, (&path, command), &ctx.urls)
    })
    .await
}

fn present_list(
    tx: &ReadTx<'_>,
    found: &Listed<Task>,
    query: &ListQuery,
    (path, command): (&str, Command),
    urls: &Urls,
) -> Result<Json<ListBody>> {
    let guids = found.rows.iter().map(|task| task.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Task, guids)?;
    Ok(Json(found.present(query, urls, path, |task| {
        presenter::present(task, metadata.of(task.guid.as_str()), command, urls)
    })?))
}

fn present_one(tx: &ReadTx<'_>, task: &Task, command: Command, urls: &Urls) -> Result<Json<Value>> {
    let metadata = Metadata::load(tx, ResourceType::Task, task.guid.as_str())?;
    Ok(Json(presenter::present(task, &metadata, command, urls)))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<TaskGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let task = model::tasks::get_visible(tx, &ctx.caller, &guid)?;
        let command = ctx.caller.sees_secrets(tx, &task.space_guid)?.into();
        present_one(tx, &task, command, &ctx.urls)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let snapshots = Snapshots::of(&ctx.cc);
    ctx.write(move |tx, ctx| {
        actions::feature_flags::require(tx, &ctx.caller, "task_creation")?;
        let wanted = payload::tasks::create(body)?;
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let task = flows::tasks::create(tx, &may, &snapshots, &app, wanted)?;
        let shown = present_one(tx, &task, Command::Shown, &ctx.urls)?;
        Ok((StatusCode::ACCEPTED, shown))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<TaskGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let metadata = payload::tasks::update(body)?;
    ctx.write(move |tx, ctx| {
        let task = model::tasks::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &task.space_guid)?;
        let task = flows::tasks::update(tx, &may, task, &metadata)?;
        present_one(tx, &task, Command::Shown, &ctx.urls)
    })
    .await
}

pub(super) async fn cancel(
    ctx: Context,
    Path(guid): Path<TaskGuid>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.write(move |tx, ctx| {
        let task = model::tasks::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &task.space_guid)?;
        let task = flows::tasks::cancel(tx, &may, task)?;
        let shown = present_one(tx, &task, Command::Shown, &ctx.urls)?;
        Ok((StatusCode::ACCEPTED, shown))
    })
    .await
}
