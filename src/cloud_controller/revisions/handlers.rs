//! Requests on revisions.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::Value;

use super::{actions, payload, presenter, store};
use crate::base::guid::{AppGuid, RevisionGuid};
use crate::cloud_controller::apps::{self, App};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery, Listed, Metadata,
    ResourceType, Urls,
};
use crate::db::ReadTx;

use super::revision::Revision;

pub(super) async fn list(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let deployable = payload::deployable(&query)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let app = apps::store::get_visible(tx, &caller, &guid)?;
            let found = store::list_of_app(tx, &app.guid, &query, deployable)?;
            present_list(
                tx,
                &found,
                &query,
                &urls,
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
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_DEPLOYED)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let app = apps::store::get_visible(tx, &caller, &guid)?;
            let found = store::list_deployed(tx, &app.guid, &query)?;
            let path = format!("/v3/apps/{guid}/revisions/deployed");
            present_list(tx, &found, &query, &urls, &path)
        })
        .await
}

fn present_list(
    tx: &ReadTx<'_>,
    found: &Listed<Revision>,
    query: &ListQuery,
    urls: &Urls,
    path: &str,
) -> ApiResult<Json<ListBody>> {
    let guids = found.rows.iter().map(|revision| revision.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Revision, guids)?;
    Ok(Json(found.present(query, urls, path, |revision| {
        presenter::present(revision, metadata.of(revision.guid.as_str()), urls)
    })?))
}

/// A revision the caller sees, and its app.
fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &RevisionGuid,
) -> ApiResult<(App, Revision)> {
    let missing = || ApiError::not_found("Revision");
    let revision = store::find_visible(tx, caller, guid)?.ok_or_else(missing)?;
    let app = apps::store::find(tx, &revision.app_guid)?.ok_or_else(missing)?;
    Ok((app, revision))
}

fn present_one(tx: &ReadTx<'_>, revision: &Revision, urls: &Urls) -> ApiResult<Json<Value>> {
    let metadata = Metadata::load(tx, ResourceType::Revision, revision.guid.as_str())?;
    Ok(Json(presenter::present(revision, &metadata, urls)))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<RevisionGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let (_, revision) = get_visible(tx, &caller, &guid)?;
            present_one(tx, &revision, &urls)
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<RevisionGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let metadata = payload::update(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, revision) = get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &app.space_guid)?;
            let revision = actions::update(tx, &recorder, revision, &metadata)?;
            present_one(tx, &revision, &urls)
        })
        .await
}

pub(super) async fn show_environment(
    ctx: Context,
    Path(guid): Path<RevisionGuid>,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .write(move |tx| {
            let (app, revision) = get_visible(tx, &caller, &guid)?;
            caller.may_read_secrets(tx, &app.space_guid)?;
            let kind = "audit.app.revision.environment_variables.show";
            actions::record(tx, &recorder, kind, &app, &revision)?;
            let variables = store::environment(tx, &vault, &revision.guid)?;
            Ok::<_, ApiError>(Json(presenter::environment(&revision, &variables, &urls)))
        })
        .await
}
