//! Requests on users.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::{OrganizationGuid, SpaceGuid, UserGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::users::Among;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody};
use crate::cloud_controller::{actions, model, payload, v3};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = payload::users::list(query.as_deref()).map_err(Error::as_unprocessable)?;
    enter_caller(&ctx).await?;
    page(ctx, query, "/v3/users".to_owned(), |_| Ok(Among::Visible)).await
}

pub(super) async fn list_of_organization(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = payload::users::list(query.as_deref())?;
    let (path, caller) = (
        format!("/v3/organizations/{guid}/users"),
        ctx.caller.clone(),
    );
    page(ctx, query, path, move |tx| {
        model::organizations::get_visible(tx, &caller, &guid)?;
        Ok(Among::Organization(guid))
    })
    .await
}

pub(super) async fn list_of_space(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = payload::users::list(query.as_deref())?;
    let (path, caller) = (format!("/v3/spaces/{guid}/users"), ctx.caller.clone());
    page(ctx, query, path, move |tx| {
        let space = model::spaces::find_visible(tx, &caller, &guid)?;
        space.ok_or_else(|| Error::not_found("Space"))?;
        Ok(Among::Space(guid))
    })
    .await
}

async fn page(
    ctx: Context,
    query: ListQuery,
    path: String,
    among: impl FnOnce(&crate::db::ReadTx<'_>) -> Result<Among> + Send + 'static,
) -> ApiResult<Json<ListBody>> {
    ctx.read(move |tx, ctx| {
        let found = model::users::list(tx, &among(tx)?, &ctx.caller, &query)?;
        let users = presenter::all(tx, &found.rows, &ctx.urls)?;
        Ok(Json(found.present_values(&query, &ctx.urls, &path, users)?))
    })
    .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<UserGuid>) -> ApiResult<Json<Value>> {
    if guid == ctx.caller.guid {
        enter_caller(&ctx).await?;
    }
    ctx.read(move |tx, ctx| {
        let user = model::users::get_visible(tx, &ctx.caller, &guid)?;
        presenter::one(tx, &user, &ctx.urls).map(Json)
    })
    .await
}

/// Whoever signs in is known: their entry is made when it first matters.
async fn enter_caller(ctx: &Context) -> ApiResult<()> {
    let guid = ctx.caller.guid.clone();
    let asked = guid.clone();
    let known = ctx.cc.db().read(move |tx| model::users::exists(tx, &asked));
    if !known.await? {
        let now = ctx.now;
        ctx.cc
            .db()
            .write_without_wake(move |tx| model::users::ensure(tx, &guid, now))
            .await?;
    }
    Ok(())
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let may = ctx.may_administer()?;
    let (whom, metadata) = payload::users::create(body)?;
    ctx.write(move |tx, ctx| {
        let guid = actions::users::create(tx, &may, &whom, &metadata)?;
        let user = model::users::get_visible(tx, &ctx.caller, &guid)?;
        Ok((
            StatusCode::CREATED,
            Json(presenter::one(tx, &user, &ctx.urls)?),
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<UserGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        model::users::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_administer()?;
        let metadata = payload::users::update(body)?;
        actions::users::update(tx, &may, &guid, &metadata)?;
        let user = model::users::get_visible(tx, &ctx.caller, &guid)?;
        presenter::one(tx, &user, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<UserGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        model::users::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_administer()?;
        actions::users::delete(tx, &may, &guid)?;
        let job = v3::jobs::record_complete(tx, "user.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}
