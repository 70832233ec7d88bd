//! Requests on stacks. Everybody who is signed in reads them; admins write.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::Value;

use super::presenter;
use crate::base::guid::StackGuid;
use crate::cloud_controller::api::apps::handlers::Listing;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Warnings};
use crate::cloud_controller::{actions, api, model, payload};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = payload::stacks::list(query.as_deref())?;
    ctx.read(move |tx, ctx| {
        let found = model::stacks::list_all(tx, &query)?;
        let guids = found.rows.iter().map(|stack| stack.guid.as_str());
        let metadata = Metadata::of_all(tx, ResourceType::Stack, guids)?;
        Ok(Json(found.present(
            &query,
            &ctx.urls,
            "/v3/stacks",
            |stack| presenter::present_with(stack, metadata.of(stack.guid.as_str()), &ctx.urls),
        )?))
    })
    .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<StackGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let stack = model::stacks::get(tx, &guid)?;
        presenter::present(tx, &stack, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn list_apps(
    ctx: Context,
    Path(guid): Path<StackGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = api::apps::handlers::list_query(query.as_deref())?;
    ctx.read(move |tx, ctx| {
        let stack = model::stacks::get(tx, &guid)?;
        let path = format!("/v3/stacks/{guid}/apps");
        let listing = Listing {
            path: &path,
            stack: Some(&stack.name),
        };
        api::apps::handlers::page(tx, &ctx.caller, &query, listing, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let may = ctx.may_administer()?;
    let wanted = payload::stacks::create(body)?;
    ctx.write(move |tx, ctx| {
        let stack = actions::stacks::create(tx, &may, wanted)?;
        let shown = presenter::present(tx, &stack, &ctx.urls)?;
        Ok((StatusCode::CREATED, Json(shown)))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<StackGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let stack = model::stacks::get(tx, &guid)?;
        let may = ctx.may_administer()?;
        let change = payload::stacks::update(body)?;
        let warning = (stack.is_default && change.state.is_some()).then(|| {
            format!(
                "Changing state on the default stack '{}' may affect new application deployments.",
                stack.name
            )
        });
        let stack = actions::stacks::update(tx, &may, stack, change)?;
        let shown = presenter::present(tx, &stack, &ctx.urls)?;
        Ok((Warnings::from_iter(warning), Json(shown)).into_response())
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<StackGuid>) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let stack = model::stacks::get(tx, &guid)?;
        let may = ctx.may_administer()?;
        actions::stacks::delete(tx, &may, &stack)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
