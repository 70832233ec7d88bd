//! Requests on buildpacks.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::{Value, json};

use super::store::{self, Buildpack};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, ListQuery, ListRules, Metadata, ResourceType, Urls,
};
use crate::db::ReadTx;

const LIST: ListRules = ListRules::new(&["names", "stacks"])
    .order_by(&["position"])
    .extras(&["lifecycle"]);

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<Value>> {
    let mut query = ListQuery::parse(query.as_deref(), &LIST)?;
    if query
        .raw("lifecycle")
        .is_some_and(|kind| kind != "buildpack" && kind != "cnb")
    {
        return Err(ApiError::bad_query(
            "Lifecycle must be either 'buildpack' or 'cnb'",
        ));
    }
    if !query.page.order.asked {
        query.page.order.key = "position";
    }
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_all(tx, &query)?;
            found
                .try_present(&query, &urls, "/v3/buildpacks", |b| present(tx, b, &urls))
                .map(Json)
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let buildpack =
                store::find(tx, &guid)?.ok_or_else(|| ApiError::not_found("Buildpack"))?;
            present(tx, &buildpack, &urls).map(Json)
        })
        .await
}

fn present(tx: &ReadTx<'_>, buildpack: &Buildpack, urls: &Urls) -> ApiResult<Value> {
    let metadata = Metadata::load(tx, ResourceType::Buildpack, &buildpack.guid)?;
    let path = format!("/v3/buildpacks/{}", buildpack.guid);
    Ok(json!({
        "guid": buildpack.guid,
        "created_at": buildpack.created_at,
        "updated_at": buildpack.updated_at,
        "name": buildpack.name,
        "stack": buildpack.stack,
        "state": buildpack.state,
        "lifecycle": buildpack.lifecycle,
        "filename": buildpack.filename,
        "position": buildpack.position,
        "enabled": buildpack.enabled,
        "locked": buildpack.locked,
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&path),
            "upload": urls.action(&format!("{path}/upload"), "POST"),
        },
    }))
}
