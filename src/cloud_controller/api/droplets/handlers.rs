//! Requests on droplets, except downloads.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use super::presenter::Secrets;
use crate::base::guid::{AppGuid, DropletGuid, PackageGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::droplets::{Droplet, Of};
use crate::cloud_controller::payload::droplets::CopyDroplet;
use crate::cloud_controller::query::{ListQuery, Listed};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls};
use crate::cloud_controller::{actions, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::droplets::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::droplets::list_visible(tx, &ctx.caller, &query, &Of::All)?;
        page(tx, &found, &query, "/v3/droplets", &ctx.urls)
    })
    .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = payload::droplets::list_of_app(query.as_deref())?;
    ctx.read(move |tx, ctx| {
        model::apps::get_visible(tx, &ctx.caller, &app)?;
        let found = model::droplets::list_visible(tx, &ctx.caller, &query, &Of::App(&app))?;
        let path = format!("/v3/apps/{app}/droplets");
        page(tx, &found, &query, &path, &ctx.urls)
    })
    .await
}

pub(super) async fn list_of_package(
    ctx: Context,
    Path(package): Path<PackageGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::droplets::LIST_OF_PACKAGE)?;
    ctx.read(move |tx, ctx| {
        model::packages::get_visible(tx, &ctx.caller, &package)?;
        let found = model::droplets::list_visible(tx, &ctx.caller, &query, &Of::Package(&package))?;
        let path = format!("/v3/packages/{package}/droplets");
        page(tx, &found, &query, &path, &ctx.urls)
    })
    .await
}

fn page(
    tx: &ReadTx<'_>,
    found: &Listed<Droplet>,
    query: &ListQuery,
    path: &str,
    urls: &Urls,
) -> Result<Json<ListBody>> {
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
        return copy(ctx, payload::droplets::copy(source, body)?).await;
    }
    let wanted = payload::droplets::create(body)?;
    ctx.write(move |tx, ctx| {
        let app = model::apps::find_visible(tx, &ctx.caller, &wanted.app)?.ok_or_else(|| {
            Error::unprocessable(format!(
                "App with guid \"{}\" does not exist, or you do not have access to it.",
                wanted.app
            ))
        })?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let droplet = actions::droplets::create(tx, &may, &app, &wanted)?;
        let shown = presenter::present(tx, &droplet, Secrets::Shown, &ctx.urls)?;
        Ok((StatusCode::CREATED, Json(shown)))
    })
    .await
}

async fn copy(ctx: Context, wanted: CopyDroplet) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.write(move |tx, ctx| {
        let source = model::droplets::get_visible(tx, &ctx.caller, &wanted.source)?;
        let app = model::apps::get_visible(tx, &ctx.caller, &wanted.app)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let droplet = actions::droplets::copy(tx, &may, &source, &app)?;
        let shown = presenter::present(tx, &droplet, Secrets::Shown, &ctx.urls)?;
        Ok((StatusCode::CREATED, Json(shown)))
    })
    .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<DropletGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let droplet = model::droplets::get_visible(tx, &ctx.caller, &guid)?;
        let secrets = secrets_for(tx, &ctx.caller, &droplet.space_guid);
        presenter::present(tx, &droplet, secrets, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn current(ctx: Context, Path(app): Path<AppGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &app)?;
        let droplet =
            model::droplets::current(tx, &app.guid)?.ok_or_else(|| Error::not_found("Droplet"))?;
        let secrets = secrets_for(tx, &ctx.caller, &app.space_guid);
        presenter::present(tx, &droplet, secrets, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<DropletGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let droplet = model::droplets::get_visible(tx, &ctx.caller, &guid)?;
        // Who may not set the image is refused before the rest is looked at.
        if body.as_given().get("image").is_some() {
            ctx.caller.must_be_admin()?;
        }
        let may = ctx.may_write(tx, &droplet.space_guid)?;
        let change = payload::droplets::update(body)?;
        if let Some(image) = &change.image {
            let may = ctx.may_administer()?;
            actions::droplets::set_image(tx, &may, &droplet, image.as_deref())?;
        }
        let droplet = actions::droplets::update(tx, &may, &droplet, &change.metadata)?;
        presenter::present(tx, &droplet, Secrets::Shown, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<DropletGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let droplet = model::droplets::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &droplet.space_guid)?;
        actions::droplets::delete(tx, &may, &droplet)?;
        let job = v3::jobs::record_complete(tx, "droplet.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
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
