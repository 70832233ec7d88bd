//! Requests on roles.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::store::Role;
use super::{actions, payload, presenter, store};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, Included, JsonBody, ListBody, ListQuery, Urls, with_included,
};
use crate::cloud_controller::{jobs, organizations, spaces, users};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query =
        ListQuery::parse(query.as_deref(), &payload::LIST).map_err(ApiError::as_unprocessable)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let body = found.present(&query, &urls, "/v3/roles", |role| {
                presenter::present(role, &urls)
            })?;
            Ok(Json(body.including(included(
                tx,
                &found.rows,
                &query,
                &urls,
            )?)))
        })
        .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), payload::INCLUDES, &[])
        .map_err(ApiError::as_unprocessable)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let role = store::find_visible(tx, &caller, &guid)?
                .ok_or_else(|| ApiError::not_found("Role"))?;
            let body = presenter::present(&role, &urls);
            Ok(Json(with_included(
                body,
                included(tx, &[role], &query, &urls)?,
            )))
        })
        .await
}

fn included(
    tx: &ReadTx<'_>,
    roles: &[Role],
    query: &ListQuery,
    urls: &Urls,
) -> ApiResult<Included> {
    let mut parts = Vec::new();
    if query.includes("user") {
        let guids: Vec<String> = roles
            .iter()
            .map(|role| role.user_guid.to_string())
            .collect();
        parts.push(("users", users::present_by_guids(tx, &guids, urls)?));
    }
    if query.includes("organization") {
        let guids: Vec<String> = roles
            .iter()
            .filter(|role| role.space_guid.is_none())
            .map(|role| role.organization_guid.to_string())
            .collect();
        let found = organizations::store::by_guids(tx, &guids)?;
        let shown = organizations::present_all(tx, &found, urls)?;
        parts.push(("organizations", shown));
    }
    if query.includes("space") {
        let guids: Vec<String> = roles
            .iter()
            .filter_map(|role| role.space_guid.as_ref().map(ToString::to_string))
            .collect();
        let found = spaces::store::by_guids(tx, &guids)?;
        parts.push(("spaces", spaces::present_all(tx, &found, urls)?));
    }
    Ok(parts)
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let role = actions::create(tx, &recorder, &caller, &wanted)?;
            Ok::<_, ApiError>((StatusCode::CREATED, Json(presenter::present(&role, &urls))))
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<String>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let role = store::find_visible(tx, &caller, &guid)?
                .ok_or_else(|| ApiError::not_found("Role"))?;
            actions::delete(tx, &recorder, &caller, &role)?;
            let job = jobs::record_complete(tx, "role.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}
