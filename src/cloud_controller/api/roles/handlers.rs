//! Requests on roles.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::roles::Role;
use crate::cloud_controller::payload::roles::{CreateRole, Scope};
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{
    ApiResult, Context, Included, JsonBody, ListBody, Urls, with_included,
};
use crate::cloud_controller::{actions, api, model, payload, v3};
use crate::db::{ReadTx, WriteTx};

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
    ctx.write(move |tx, ctx| {
        let role = match &wanted.scope {
            Scope::Space(guid) => in_space(tx, ctx, &wanted, guid)?,
            Scope::Organization(guid) => in_organization(tx, ctx, &wanted, guid)?,
        };
        Ok((
            StatusCode::CREATED,
            Json(presenter::present(&role, &ctx.urls)),
        ))
    })
    .await
}

/// Who may not give roles in a space gets 403, never 404: that it exists is no secret.
fn in_space(
    tx: &WriteTx<'_>,
    ctx: &Context,
    wanted: &CreateRole,
    guid: &SpaceGuid,
) -> Result<Role> {
    let space = model::spaces::find(tx, guid)?.ok_or_else(|| {
        Error::unprocessable(
            "Invalid space. Ensure that the space exists and you have access to it.",
        )
    })?;
    let may = ctx.may_give_roles(tx, &space.organization_guid, Some(guid))?;
    actions::roles::create_in_space(tx, &may, &ctx.caller, wanted, &space)
}

/// The same of an organization.
fn in_organization(
    tx: &WriteTx<'_>,
    ctx: &Context,
    wanted: &CreateRole,
    guid: &OrganizationGuid,
) -> Result<Role> {
    let organization = model::organizations::find(tx, guid)?.ok_or_else(|| {
        Error::unprocessable(
            "Invalid organization. Ensure that the organization exists and you have access to it.",
        )
    })?;
    let may = ctx.may_give_roles(tx, guid, None)?;
    actions::roles::create_in_organization(tx, &may, &ctx.caller, wanted, &organization)
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<String>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let role = model::roles::find_visible(tx, &ctx.caller, &guid)?
            .ok_or_else(|| Error::not_found("Role"))?;
        let may = ctx.may_give_roles(tx, &role.organization_guid, role.space_guid.as_ref())?;
        actions::roles::delete(tx, &may, &role)?;
        let job = v3::jobs::record_complete(tx, "role.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}
