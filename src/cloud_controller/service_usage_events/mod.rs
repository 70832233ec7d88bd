//! Service usage events: which service instances there were from when to when.
//!
//! Facts of their time, as app usage events are, and read by the same few. Reseeding tells anew of
//! the instances that exist.

pub(crate) mod store;

use axum::extract::{Path, RawQuery};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::CloudController;
use super::app_usage_events::usage_query;
use super::v3::{ApiError, ApiResult, Context, ListBody, ListRules, Listed, Urls};
use store::ServiceUsageEvent;

const LIST: ListRules = ListRules::new(&["service_instance_types", "service_offering_guids"])
    .without_labels()
    .without_updates()
    .extras(&["after_guid"]);

/// `/v3/service_usage_events`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/service_usage_events", get(list))
        .route("/v3/service_usage_events/{guid}", get(show))
        .route(
            "/v3/service_usage_events/actions/destructively_purge_all_and_reseed",
            post(reseed),
        )
}

async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = usage_query(query.as_deref(), &LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = if caller.sees_all() {
                store::list(tx, &query)?
            } else {
                Listed::slice(Vec::new(), &query)
            };
            Ok::<_, ApiError>(Json(found.present(
                &query,
                &urls,
                "/v3/service_usage_events",
                |event| present(event, &urls),
            )?))
        })
        .await
}

async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = if caller.sees_all() {
                store::find(tx, &guid)?
            } else {
                None
            };
            let event = found.ok_or_else(|| ApiError::not_found("Service usage event"))?;
            Ok::<_, ApiError>(Json(present(&event, &urls)))
        })
        .await
}

async fn reseed(ctx: Context) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, now, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            caller.must_be_admin()?;
            store::reseed(tx, now)?;
            Ok::<_, ApiError>(Json(json!({})))
        })
        .await
}

fn present(event: &ServiceUsageEvent, urls: &Urls) -> Value {
    let named = |[guid, name]: &[Option<String>; 2]| json!({ "guid": guid, "name": name });
    let [guid, name, kind] = &event.service_instance;
    json!({
        "guid": event.guid,
        "created_at": event.created_at,
        "updated_at": event.created_at,
        "state": event.state,
        "space": named(&event.space),
        "organization": { "guid": event.organization_guid },
        "service_instance": { "guid": guid, "name": name, "type": kind },
        "service_plan": named(&event.service_plan),
        "service_offering": named(&event.service_offering),
        "service_broker": named(&event.service_broker),
        "links": { "self": urls.link(&format!("/v3/service_usage_events/{}", event.guid)) },
    })
}
