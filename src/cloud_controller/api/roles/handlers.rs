//! Requests on roles.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::roles::Role;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{
    ApiResult, Context, Included, JsonBody, ListBody, Urls, with_included,
};
use crate::cloud_controller::{actions, api, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::roles::LIST)
        .map_err(Error::as_unprocessable)?;
    ctx.read(move |tx, ctx| {
        let found = model::roles::list_visible(tx, &ctx.caller, &query)?;
        let body = found.present(&query, &ctx.urls, "/v3/roles", |role| {
            presenter::present(role, &ctx.urls)
        })?;
        Ok(Json(body.including(included(
            tx,
            &found.rows,
            &query,
            &ctx.urls,
        )?)))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), payload::roles::INCLUDES, &[])
        .map_err(Error::as_unprocessable)?;
    ctx.read(move |tx, ctx| {
        let role = model::roles::find_visible(tx, &ctx.caller, &guid)?
            .ok_or_else(|| Error::not_found("Role"))?;
        let body = presenter::present(&role, &ctx.urls);
        Ok(Json(with_included(
            body,
            included(tx, &[role], &query, &ctx.urls)?,
        )))
    })
    .await
}

fn included(tx: &ReadTx<'_>, roles: &[Role], query: &ListQuery, urls: &Urls) -> Result<Included> {
    let mut parts = Vec::new();
    if query.includes("user") {
        let guids: Vec<String> = roles
            .iter()
            .map(|role| role.user_guid.to_string())
            .collect();
        parts.push(("users", api::users::presenter::by_guids(tx, &guids, urls)?));
    }
    if query.includes("organization") {
        let guids: Vec<String> = roles
            .iter()
            .filter(|role| role.space_guid.is_none())
            .map(|role| role.organization_guid.to_string())
            .collect();
        let found = model::organizations::by_guids(tx, &guids)?;
        let shown = api::organizations::presenter::present_all(tx, &found, urls)?;
        parts.push(("organizations", shown));
    }
    if query.includes("space") {
        let guids: Vec<String> = roles
            .iter()
            .filter_map(|role| role.space_guid.as_ref().map(ToString::to_string))
            .collect();
        let found = model::spaces::by_guids(tx, &guids)?;
        parts.push((
            "spaces",
            api::spaces::presenter::present_all(tx, &found, urls)?,
        ));
    }
    Ok(parts)
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::roles::create(body)?;
    let recorder = ctx.recorder();
    ctx.write(move |tx, ctx| {
        let role = actions::roles::create(tx, &recorder, &ctx.caller, &wanted)?;
        Ok((
            StatusCode::CREATED,
            Json(presenter::present(&role, &ctx.urls)),
        ))
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<String>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    ctx.write(move |tx, ctx| {
        let role = model::roles::find_visible(tx, &ctx.caller, &guid)?
            .ok_or_else(|| Error::not_found("Role"))?;
        actions::roles::delete(tx, &recorder, &ctx.caller, &role)?;
        let job = actions::jobs::record_complete(tx, "role.delete", recorder.now, &recorder.guids)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}
