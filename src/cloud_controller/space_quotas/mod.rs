//! Space quotas: what a space may use, made by its organization's managers.

mod store;

use axum::extract::{Path, RawQuery};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::CloudController;
use super::v3::{ApiError, ApiResult, Context, ListQuery, ListRules, Urls};
use store::SpaceQuota;

/// `/v3/space_quotas`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/space_quotas", get(list))
        .route("/v3/space_quotas/{guid}", get(show))
}

const LIST: ListRules = ListRules::new(&["names", "organization_guids", "space_guids"])
    .without_labels()
    .order_by(&["name"]);

fn present(quota: &SpaceQuota, urls: &Urls) -> Value {
    json!({
        "guid": quota.guid,
        "created_at": quota.created_at,
        "updated_at": quota.updated_at,
        "name": quota.name,
        "apps": quota.limits.present_apps(),
        "services": quota.limits.present_services(),
        "routes": quota.limits.present_routes(),
        "relationships": {
            "organization": { "data": { "guid": quota.organization_guid } },
            "spaces": { "data": quota.members.iter().map(|guid| json!({ "guid": guid })).collect::<Vec<_>>() },
        },
        "links": {
            "self": urls.link(&format!("/v3/space_quotas/{}", quota.guid)),
            "organization": urls.link(&format!("/v3/organizations/{}", quota.organization_guid)),
        },
    })
}

async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            Ok(Json(found.present(
                &query,
                &urls,
                "/v3/space_quotas",
                |q| present(q, &urls),
            )))
        })
        .await
}

async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let quota = store::find_visible(tx, &caller, &guid)?
                .ok_or_else(|| ApiError::not_found("Space quota"))?;
            Ok(Json(present(&quota, &urls)))
        })
        .await
}
