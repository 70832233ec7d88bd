//! Requests on stacks.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::{Value, json};

use super::store::{self, Stack};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, ListQuery, ListRules, Metadata, ResourceType, Urls,
};
use crate::db::ReadTx;

const LIST: ListRules = ListRules::new(&["names"])
    .order_by(&["name"])
    .extras(&["default"]);

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    if query
        .raw("default")
        .is_some_and(|value| value != "true" && value != "false")
    {
        return Err(ApiError::bad_query("Default must be 'true' or 'false'"));
    }
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_all(tx, &query)?;
            found
                .try_present(&query, &urls, "/v3/stacks", |s| present(tx, s, &urls))
                .map(Json)
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let stack = store::find(tx, &guid)?.ok_or_else(|| ApiError::not_found("Stack"))?;
            present(tx, &stack, &urls).map(Json)
        })
        .await
}

fn present(tx: &ReadTx<'_>, stack: &Stack, urls: &Urls) -> ApiResult<Value> {
    let metadata = Metadata::load(tx, ResourceType::Stack, &stack.guid)?;
    Ok(json!({
        "guid": stack.guid,
        "created_at": stack.created_at,
        "updated_at": stack.updated_at,
        "name": stack.name,
        "description": stack.description,
        "state": stack.state,
        "state_reason": stack.state_reason,
        "run_rootfs_image": stack.name,
        "build_rootfs_image": stack.name,
        "default": stack.is_default,
        "metadata": metadata.present(),
        "links": { "self": urls.link(&format!("/v3/stacks/{}", stack.guid)) },
    }))
}
