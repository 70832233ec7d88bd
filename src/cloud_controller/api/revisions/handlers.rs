//! Requests on revisions.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::Value;

use super::presenter;
use crate::base::guid::{AppGuid, RevisionGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::revisions::Revision;
use crate::cloud_controller::query::{ListQuery, Listed};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls};
use crate::cloud_controller::{actions, model, payload};
use crate::db::ReadTx;

pub(super) async fn list(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::revisions::LIST)?;
    let deployable = payload::revisions::deployable(&query)?;
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let found = model::revisions::list_of_app(tx, &app.guid, &query, deployable)?;
        present_list(
            tx,
            &found,
            &query,
            &ctx.urls,
            &format!("/v3/apps/{guid}/revisions"),
        )
    })
    .await
}

pub(super) async fn list_deployed(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::revisions::LIST_DEPLOYED)?;
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let found = model::revisions::list_deployed(tx, &app.guid, &query)?;
        let path = format!("/v3/apps/{guid}/revisions/deployed");
        present_list(tx, &found, &query, &ctx.urls, &path)
    })
    .await
}

fn present_list(
    tx: &ReadTx<'_>,
    found: &Listed<Revision>,
    query: &ListQuery,
    urls: &Urls,
    path: &str,
) -> Result<Json<ListBody>> {
    let guids = found.rows.iter().map(|revision| revision.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Revision, guids)?;
    Ok(Json(found.present(query, urls, path, |revision| {
        presenter::present(revision, metadata.of(revision.guid.as_str()), urls)
    })?))
}

/// A revision the caller sees, and its app.
fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &RevisionGuid) -> Result<(App, Revision)> {
    let missing = || Error::not_found("Revision");
    let revision = model::revisions::find_visible(tx, caller, guid)?.ok_or_else(missing)?;
    let app = model::apps::find(tx, &revision.app_guid)?.ok_or_else(missing)?;
    Ok((app, revision))
}

fn present_one(tx: &ReadTx<'_>, revision: &Revision, urls: &Urls) -> Result<Json<Value>> {
    let metadata = Metadata::load(tx, ResourceType::Revision, revision.guid.as_str())?;
    Ok(Json(presenter::present(revision, &metadata, urls)))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<RevisionGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let (_, revision) = get_visible(tx, &ctx.caller, &guid)?;
        present_one(tx, &revision, &ctx.urls)
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<RevisionGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let metadata = payload::revisions::update(body)?;
    ctx.write(move |tx, ctx| {
        let (app, revision) = get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let revision = actions::revisions::update(tx, &may, &app, revision, &metadata)?;
        present_one(tx, &revision, &ctx.urls)
    })
    .await
}

pub(super) async fn show_environment(
    ctx: Context,
    Path(guid): Path<RevisionGuid>,
) -> ApiResult<Json<Value>> {
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let (app, revision) = get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_read_secrets(tx, &app.space_guid)?;
        actions::revisions::record_read(tx, &may, &app, &revision)?;
        let variables = model::revisions::environment(tx, &vault, &revision.guid)?;
        Ok(Json(presenter::environment(
            &revision, &variables, &ctx.urls,
        )))
    })
    .await
}
