//! Deployments: reading them. Making one is refused with a text that says so; `cf push` and
//! `cf restart` without `--strategy` do not need them.

mod store;

use axum::extract::{Path, RawQuery};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use store::Deployment;

use super::CloudController;
use super::apps;
use super::v3::{
    ApiError, ApiResult, Context, JsonBody, ListQuery, ListRules, Metadata, ResourceType, Urls,
};
use crate::base::guid::AppGuid;
use crate::db::ReadTx;

const LIST: ListRules = ListRules::new(&["app_guids", "states", "status_reasons", "status_values"]);

/// `/v3/deployments`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/deployments", get(list).post(create))
        .route("/v3/deployments/{guid}", get(show))
}

async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            found
                .try_present(&query, &urls, "/v3/deployments", |one| {
                    present(tx, one, &urls)
                })
                .map(Json)
        })
        .await
}

async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::find_visible(tx, &caller, &guid)?;
            let deployment = found.ok_or_else(|| ApiError::not_found("Deployment"))?;
            present(tx, &deployment, &urls).map(Json)
        })
        .await
}

async fn create(ctx: Context, JsonBody(mut body): JsonBody) -> ApiResult<Json<Value>> {
    let [app] = body.relationships([("app", true)]);
    std::mem::take(&mut body.invalid).refuse()?;
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let guid = AppGuid::from(app.flatten().unwrap_or_default());
            let app = apps::store::find_visible(tx, &caller, &guid)?;
            let usable = match &app {
                Some(app) => caller.may_support_space(tx, &app.space_guid).is_ok(),
                None => false,
            };
            Err(ApiError::unprocessable(if usable {
                "Rolling and canary deployments are not available in this version of cflite: \
                 push or restart the app without --strategy."
            } else {
                "Unable to use app. Ensure that the app exists and you have access to it."
            }))
        })
        .await
}

fn present(tx: &ReadTx<'_>, deployment: &Deployment, urls: &Urls) -> ApiResult<Value> {
    let metadata = Metadata::load(tx, ResourceType::Deployment, &deployment.guid)?;
    Ok(json!({
        "guid": deployment.guid,
        "created_at": deployment.created_at,
        "updated_at": deployment.updated_at,
        "status": {
            "value": deployment.status_value,
            "reason": deployment.status_reason,
            "details": {
                "last_successful_healthcheck": null,
                "last_status_change": deployment.updated_at,
            },
        },
        "strategy": deployment.strategy,
        "options": { "max_in_flight": 1 },
        "droplet": { "guid": deployment.droplet_guid },
        "previous_droplet": { "guid": null },
        "new_processes": [],
        "revision": null,
        "relationships": { "app": { "data": { "guid": deployment.app_guid } } },
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&format!("/v3/deployments/{}", deployment.guid)),
            "app": urls.link(&format!("/v3/apps/{}", deployment.app_guid)),
        },
    }))
}
