//! Service usage events: which service instances there were from when to when.
//!
//! Facts of their time like app usage events, with the same readers. Reseeding replaces all events by
//! one for each instance that exists.

use axum::extract::{Path, RawQuery};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::cloud_controller::api::app_usage_events::handlers::usage_query;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::service_usage_events::ServiceUsageEvent;
use crate::cloud_controller::query::{ListRules, Listed};
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context, ListBody, Urls};
use crate::cloud_controller::{actions, model};

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
    ctx.read(move |tx, ctx| {
        let found = if ctx.caller.sees_all() {
            model::service_usage_events::list(tx, &query)?
        } else {
            Listed::slice(Vec::new(), &query)
        };
        Ok(Json(found.present(
            &query,
            &ctx.urls,
            "/v3/service_usage_events",
            |event| present(event, &ctx.urls),
        )?))
    })
    .await
}

async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let found = if ctx.caller.sees_all() {
            model::service_usage_events::find(tx, &guid)?
        } else {
            None
        };
        let event = found.ok_or_else(|| Error::not_found("Service usage event"))?;
        Ok(Json(present(&event, &ctx.urls)))
    })
    .await
}

async fn reseed(ctx: Context) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        actions::service_usage_events::reseed(tx, &ctx.may_administer()?)?;
        Ok(Json(json!({})))
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
