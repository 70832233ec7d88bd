//! Requests on droplets, except downloads.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter::{self, Secrets};
use super::store::{self, Droplet, Of};
use super::{actions, payload};
use crate::base::guid::{AppGuid, DropletGuid, PackageGuid, SpaceGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery, Listed, Metadata,
    ResourceType, Urls,
};
use crate::cloud_controller::{apps, jobs, packages};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, &Of::All)?;
            page(tx, &found, (&query, "/v3/droplets"), &urls)
        })
        .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = payload::list_of_app(query.as_deref())?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            apps::store::get_visible(tx, &caller, &app)?;
            let found = store::list_visible(tx, &caller, &query, &Of::App(&app))?;
            let path = format!("/v3/apps/{app}/droplets");
            page(tx, &found, (&query, &path), &urls)
        })
        .await
}

pub(super) async fn list_of_package(
    ctx: Context,
    Path(package): Path<PackageGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_OF_PACKAGE)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            packages::store::get_visible(tx, &caller, &package)?;
            let found = store::list_visible(tx, &caller, &query, &Of::Package(&package))?;
            let path = format!("/v3/packages/{package}/droplets");
            page(tx, &found, (&query, &path), &urls)
        })
        .await
}

fn page(
    tx: &ReadTx<'_>,
    found: &Listed<Droplet>,
    (query, path): (&ListQuery, &str),
    urls: &Urls,
) -> ApiResult<Json<ListBody>> {
    let guids = found.rows.iter().map(|droplet| droplet.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Droplet, guids)?;
    Ok(Json(found.present(query, urls, path, |droplet| {
        let metadata = metadata.of(droplet.guid.as_str());
        presenter::present_with(droplet, metadata, Secrets::HiddenInLists, urls)
    })?))
}

pub(super) async fn create(
    ctx: Context,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let query = ListQuery::parse_single(query.as_deref(), &[], &["source_guid"])?;
    if let Some(source) = query.raw("source_guid") {
        return copy(ctx, payload::copy(source, body)?).await;
    }
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let app = apps::store::find_visible(tx, &caller, &wanted.app)?.ok_or_else(|| {
                ApiError::unprocessable(format!(
                    "App with guid \"{}\" does not exist, or you do not have access to it.",
                    wanted.app
                ))
            })?;
            caller.may_write_space(tx, &app.space_guid)?;
            let droplet = actions::create(tx, &recorder, &app, &wanted)?;
            let shown = presenter::present(tx, &droplet, Secrets::Shown, &urls)?;
            Ok((StatusCode::CREATED, Json(shown)))
        })
        .await
}

async fn copy(
    ctx: Context,
    (source, app): (DropletGuid, AppGuid),
) -> ApiResult<(StatusCode, Json<Value>)> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let source = store::get_visible(tx, &caller, &source)?;
            let app = apps::store::get_visible(tx, &caller, &app)?;
            caller.may_write_space(tx, &app.space_guid)?;
            let droplet = actions::copy(tx, &recorder, &source, &app)?;
            let shown = presenter::present(tx, &droplet, Secrets::Shown, &urls)?;
            Ok((StatusCode::CREATED, Json(shown)))
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<DropletGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let droplet = store::get_visible(tx, &caller, &guid)?;
            let secrets = secrets_for(tx, &caller, &droplet.space_guid);
            presenter::present(tx, &droplet, secrets, &urls).map(Json)
        })
        .await
}

pub(super) async fn current(ctx: Context, Path(app): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let app = apps::store::get_visible(tx, &caller, &app)?;
            let droplet =
                store::current(tx, &app.guid)?.ok_or_else(|| ApiError::not_found("Droplet"))?;
            let secrets = secrets_for(tx, &caller, &app.space_guid);
            presenter::present(tx, &droplet, secrets, &urls).map(Json)
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<DropletGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .write(move |tx| {
            let droplet = store::get_visible(tx, &caller, &guid)?;
            if body.as_given().get("image").is_some() {
                caller.must_be_admin()?;
            } else {
                caller.may_write_space(tx, &droplet.space_guid)?;
            }
            let change = payload::update(body)?;
            let droplet = actions::update(tx, &droplet, &change, now)?;
            presenter::present(tx, &droplet, Secrets::Shown, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<DropletGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let droplet = store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &droplet.space_guid)?;
            actions::delete(tx, &recorder, &droplet)?;
            let job = jobs::record_complete(tx, "droplet.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

fn secrets_for(tx: &ReadTx<'_>, caller: &Caller, space: &SpaceGuid) -> Secrets {
    if caller.may_read_secrets(tx, space).is_ok() {
        Secrets::Shown
    } else {
        Secrets::Hidden
    }
}
