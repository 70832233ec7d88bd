//! Requests on users.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::store::{self, Among};
use super::{actions, payload, presenter};
use crate::base::guid::{OrganizationGuid, SpaceGuid, UserGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, JsonBody, ListBody, ListQuery, ResourceType,
};
use crate::cloud_controller::{jobs, organizations, spaces};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = payload::list(query.as_deref()).map_err(ApiError::as_unprocessable)?;
    enter_caller(&ctx).await?;
    page(ctx, query, "/v3/users".to_owned(), |_| Ok(Among::Visible)).await
}

pub(super) async fn list_of_organization(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = payload::list(query.as_deref())?;
    let (path, caller) = (
        format!("/v3/organizations/{guid}/users"),
        ctx.caller.clone(),
    );
    page(ctx, query, path, move |tx| {
        organizations::store::get_visible(tx, &caller, &guid)?;
        Ok(Among::Organization(guid))
    })
    .await
}

pub(super) async fn list_of_space(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = payload::list(query.as_deref())?;
    let (path, caller) = (format!("/v3/spaces/{guid}/users"), ctx.caller.clone());
    page(ctx, query, path, move |tx| {
        let space = spaces::store::find_visible(tx, &caller, &guid)?;
        space.ok_or_else(|| ApiError::not_found("Space"))?;
        Ok(Among::Space(guid))
    })
    .await
}

async fn page(
    ctx: Context,
    query: ListQuery,
    path: String,
    among: impl FnOnce(&crate::db::ReadTx<'_>) -> ApiResult<Among> + Send + 'static,
) -> ApiResult<Json<ListBody>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list(tx, &among(tx)?, &caller, &query)?;
            let users = presenter::all(tx, &found.rows, &urls)?;
            Ok(Json(found.present_values(&query, &urls, &path, users)?))
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<UserGuid>) -> ApiResult<Json<Value>> {
    if guid == ctx.caller.guid {
        enter_caller(&ctx).await?;
    }
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let user = store::get_visible(tx, &caller, &guid)?;
            presenter::one(tx, &user, &urls).map(Json)
        })
        .await
}

/// Whoever signs in is known: their entry is made when it first matters.
async fn enter_caller(ctx: &Context) -> ApiResult<()> {
    let guid = ctx.caller.guid.clone();
    let asked = guid.clone();
    let known = ctx.cc.db().read(move |tx| store::is_entered(tx, &asked));
    if !known.await? {
        let now = ctx.now;
        ctx.cc
            .db()
            .write_without_wake(move |tx| store::ensure(tx, &guid, now))
            .await?;
    }
    Ok(())
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.caller.must_be_admin()?;
    let (whom, metadata) = payload::create(body)?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            let guid = actions::create(tx, &guids, &whom, now)?;
            metadata.store(tx, ResourceType::User, guid.as_str())?;
            let user = store::get_visible(tx, &caller, &guid)?;
            Ok((StatusCode::CREATED, Json(presenter::one(tx, &user, &urls)?)))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<UserGuid>,
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
            store::get_visible(tx, &caller, &guid)?;
            caller.must_be_admin()?;
            let metadata = payload::update(body)?;
            metadata.store(tx, ResourceType::User, guid.as_str())?;
            store::touch(tx, &guid, now)?;
            let user = store::get_visible(tx, &caller, &guid)?;
            presenter::one(tx, &user, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<UserGuid>) -> ApiResult<Response> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            store::get_visible(tx, &caller, &guid)?;
            caller.must_be_admin()?;
            actions::delete(tx, &guid)?;
            let job = jobs::record_complete(tx, "user.delete", now, &guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}
