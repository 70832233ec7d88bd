//! Organization quotas: what an organization may use in all. Every organization has one; the one
//! named `default` is given to new organizations.

mod store;

use axum::extract::{Path, RawQuery};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

pub(crate) use store::Quota;

use super::CloudController;
use super::v3::{ApiError, ApiResult, Context, ListQuery, ListRules, Urls};

/// `/v3/organization_quotas`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/organization_quotas", get(list))
        .route("/v3/organization_quotas/{guid}", get(show))
}

/// Stores the `default` quota when there is none.
pub(crate) use store::ensure_default;

const LIST: ListRules = ListRules::new(&["names", "organization_guids"])
    .without_labels()
    .order_by(&["name"]);

fn present(quota: &Quota, urls: &Urls) -> Value {
    json!({
        "guid": quota.guid,
        "created_at": quota.created_at,
        "updated_at": quota.updated_at,
        "name": quota.name,
        "apps": quota.limits.present_apps(),
        "services": quota.limits.present_services(),
        "routes": quota.limits.present_routes(),
        "domains": { "total_domains": quota.total_domains },
        "relationships": { "organizations": {
            "data": quota.members.iter().map(|guid| json!({ "guid": guid })).collect::<Vec<_>>(),
        } },
        "links": { "self": urls.link(&format!("/v3/organization_quotas/{}", quota.guid)) },
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
                "/v3/organization_quotas",
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
                .ok_or_else(|| ApiError::not_found("Organization quota"))?;
            Ok(Json(present(&quota, &urls)))
        })
        .await
}
