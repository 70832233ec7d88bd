//! Requests on builds.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::{AppGuid, BuildGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::flows::staging::NewBuild;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::builds::Build;
use crate::cloud_controller::model::builds::BuildState;
use crate::cloud_controller::query::{ListQuery, Listed};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls, Warnings};
use crate::cloud_controller::{flows, model, payload};
use crate::db::ReadTx;

const NO_PACKAGE: &str =
    "Unable to use package. Ensure that the package exists and you have access to it.";

const STAGED_HERE: &str =
    "cflite stages builds itself: of the final states only 'FAILED' can be set.";

/// How long after its end a build's last lines may still be unread.
const RECENT: Duration = Duration::from_secs(5);
/// How long after its end a build has lines.
const LAST_LINES: Duration = Duration::from_secs(1);

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::builds::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::builds::list_visible(tx, &ctx.caller, &query, None)?;
        page(tx, &found, &query, "/v3/builds", &ctx.urls)
    })
    .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::builds::LIST_OF_APP)?;
    ctx.read(move |tx, ctx| {
        model::apps::get_visible(tx, &ctx.caller, &app)?;
        let found = model::builds::list_visible(tx, &ctx.caller, &query, Some(&app))?;
        let path = format!("/v3/apps/{app}/builds");
        page(tx, &found, &query, &path, &ctx.urls)
    })
    .await
}

fn page(
    tx: &ReadTx<'_>,
    found: &Listed<Build>,
    query: &ListQuery,
    path: &str,
    urls: &Urls,
) -> Result<Json<ListBody>> {
    let guids = found.rows.iter().map(|build| build.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Build, guids)?;
    Ok(Json(found.present(query, urls, path, |build| {
        presenter::present_with(build, metadata.of(build.guid.as_str()), urls)
    })?))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<BuildGuid>) -> ApiResult<Json<Value>> {
    let (build, shown) = ctx
        .read(move |tx, ctx| {
            let build = model::builds::get_visible(tx, &ctx.caller, &guid)?;
            let shown = presenter::present(tx, &build, &ctx.urls)?;
            Ok((build, shown))
        })
        .await?;
    if build.state != BuildState::Staging && ctx.now.since(build.updated_at) < RECENT {
        // The container is removed after the end, and its last line says so.
        let end = build.updated_at.plus(LAST_LINES);
        let lines = build.created_at.as_nanos()..end.as_nanos();
        let app = build.app_guid.as_str();
        ctx.cc.logs().shown_to_followers(app, "STG", lines).await;
    }
    Ok(Json(shown))
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Warnings, Json<Value>)> {
    let wanted = payload::builds::create(body)?;
    let snapshots = Snapshots::of(&ctx.cc);
    ctx.write(move |tx, ctx| {
        let package = model::packages::find_visible(tx, &ctx.caller, &wanted.package)?
            .ok_or_else(|| Error::unprocessable(NO_PACKAGE))?;
        let may = ctx
            .may_support(tx, &package.space_guid)
            .map_err(|error| error.told_as(|| Error::unprocessable(NO_PACKAGE)))?;
        let app = model::apps::get_visible(tx, &ctx.caller, &package.app_guid)?;
        let new = NewBuild {
            app: &app,
            package: &package,
            wanted,
            registry: &ctx.cc.settings().registry,
        };
        let (build, warning) = flows::staging::create(tx, &may, &ctx.caller, &snapshots, new)?;
        Ok((
            StatusCode::CREATED,
            Warnings::from_iter(warning),
            Json(presenter::present(tx, &build, &ctx.urls)?),
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<BuildGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let build = model::builds::get_visible(tx, &ctx.caller, &guid)?;
        // Who may not set the state is refused before the rest is looked at.
        if body.as_given().get("state").is_some() {
            ctx.caller.must_be_admin()?;
        }
        let may = ctx.may_write(tx, &build.space_guid)?;
        let change = payload::builds::update(body)?;
        flows::staging::update(tx, &may, &build, &change.metadata)?;
        match change.state.as_deref() {
            Some("FAILED") => {
                let why = change.error.unwrap_or_default();
                flows::staging::fail(tx, &ctx.may_administer()?, &build, &why)?;
            }
            Some(_) => return Err(Error::unprocessable(STAGED_HERE)),
            None => {}
        }
        presenter::present(tx, &model::builds::get(tx, &guid)?, &ctx.urls).map(Json)
    })
    .await
}
