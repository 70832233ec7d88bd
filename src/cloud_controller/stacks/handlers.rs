//! Requests on stacks. Everybody who is signed in reads them; admins write.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::Value;

use super::{actions, payload, presenter, store};
use crate::base::guid::StackGuid;
use crate::cloud_controller::apps;
use crate::cloud_controller::v3::{
    ApiResult, Context, JsonBody, ListBody, Metadata, ResourceType, Warnings,
};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = payload::list(query.as_deref())?;
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_all(tx, &query)?;
            let guids = found.rows.iter().map(|stack| stack.guid.as_str());
            let metadata = Metadata::of_all(tx, ResourceType::Stack, guids)?;
            Ok(Json(found.present(
                &query,
                &urls,
                "/v3/stacks",
                |stack| presenter::present_with(stack, metadata.of(stack.guid.as_str()), &urls),
            )?))
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<StackGuid>) -> ApiResult<Json<Value>> {
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let stack = store::get(tx, &guid)?;
            presenter::present(tx, &stack, &urls).map(Json)
        })
        .await
}

pub(super) async fn list_apps(
    ctx: Context,
    Path(guid): Path<StackGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = apps::list_query(query.as_deref())?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let stack = store::get(tx, &guid)?;
            let path = format!("/v3/stacks/{guid}/apps");
            apps::list_on_stack(tx, &caller, &query, (&stack.name, &path), &urls).map(Json)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.caller.must_be_admin()?;
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let stack = actions::create(tx, &recorder, wanted)?;
            let shown = presenter::present(tx, &stack, &urls)?;
            Ok((StatusCode::CREATED, Json(shown)))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<StackGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let stack = store::get(tx, &guid)?;
            caller.must_be_admin()?;
            let change = payload::update(body)?;
            let warning = (stack.is_default && change.state.is_some()).then(|| {
                format!(
                    "Changing state on the default stack '{}' may affect new application deployments.",
                    stack.name
                )
            });
            let stack = actions::update(tx, &recorder, stack, change)?;
            let shown = presenter::present(tx, &stack, &urls)?;
            Ok((Warnings::from_iter(warning), Json(shown)).into_response())
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<StackGuid>) -> ApiResult<StatusCode> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let stack = store::get(tx, &guid)?;
            caller.must_be_admin()?;
            actions::delete(tx, &recorder, &stack)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}
