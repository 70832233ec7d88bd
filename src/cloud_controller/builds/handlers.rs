//! Requests on builds.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::Value;

use super::store::Build;
use super::{actions, payload, presenter, store};
use crate::base::guid::{AppGuid, BuildGuid};
use crate::cloud_controller::desired::Snapshots;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, JsonBody, ListBody, ListQuery, Listed, Metadata, ResourceType,
    Urls, Warnings,
};
use crate::cloud_controller::{apps, packages};
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
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, None)?;
            page(tx, &found, (&query, "/v3/builds"), &urls)
        })
        .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_OF_APP)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            apps::store::get_visible(tx, &caller, &app)?;
            let found = store::list_visible(tx, &caller, &query, Some(&app))?;
            let path = format!("/v3/apps/{app}/builds");
            page(tx, &found, (&query, &path), &urls)
        })
        .await
}

fn page(
    tx: &ReadTx<'_>,
    found: &Listed<Build>,
    (query, path): (&ListQuery, &str),
    urls: &Urls,
) -> ApiResult<Json<ListBody>> {
    let guids = found.rows.iter().map(|build| build.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Build, guids)?;
    Ok(Json(found.present(query, urls, path, |build| {
        presenter::present_with(build, metadata.of(build.guid.as_str()), urls)
    })?))
}

pub(super) async fn show(ctx: Context, Path(guid): Path<BuildGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let (build, shown) = cc
        .db()
        .read(move |tx| {
            let build = store::get_visible(tx, &caller, &guid)?;
            let shown = presenter::present(tx, &build, &urls)?;
            Ok::<_, ApiError>((build, shown))
        })
        .await?;
    if build.state != "STAGING" && now.since(build.updated_at) < RECENT {
        // Removing the container is told after the end.
        let end = build.updated_at.plus(LAST_LINES);
        let lines = build.created_at.as_nanos()..end.as_nanos();
        let app = build.app_guid.as_str();
        cc.logs().shown_to_followers(app, "STG", lines).await;
    }
    Ok(Json(shown))
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Warnings, Json<Value>)> {
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let (vault, snapshots) = (cc.vault().clone(), Snapshots::of(&cc));
    cc.db()
        .write(move |tx| {
            let package = packages::store::find_visible(tx, &caller, &wanted.package)?
                .ok_or_else(|| ApiError::unprocessable(NO_PACKAGE))?;
            caller
                .may_support_space(tx, &package.space_guid)
                .map_err(|_| ApiError::unprocessable(NO_PACKAGE))?;
            let app = apps::store::get_visible(tx, &caller, &package.app_guid)?;
            let parts = (&app, &package);
            let (build, warning) =
                actions::create(tx, &recorder, &caller, (&vault, &snapshots), parts, wanted)?;
            Ok::<_, ApiError>((
                StatusCode::CREATED,
                Warnings::from_iter(warning),
                Json(presenter::present(tx, &build, &urls)?),
            ))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<BuildGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let build = store::get_visible(tx, &caller, &guid)?;
            if body.as_given().get("state").is_some() {
                caller.must_be_admin()?;
            } else {
                caller.may_write_space(tx, &build.space_guid)?;
            }
            let change = payload::update(body)?;
            change
                .metadata
                .store(tx, ResourceType::Build, guid.as_str())?;
            match change.state.as_deref() {
                Some("FAILED") => {
                    let why = change.error.unwrap_or_default();
                    actions::fail(tx, &recorder, &build, &why)?;
                }
                Some(_) => return Err(ApiError::unprocessable(STAGED_HERE)),
                None => {}
            }
            presenter::present(tx, &store::get(tx, &guid)?, &urls).map(Json)
        })
        .await
}
