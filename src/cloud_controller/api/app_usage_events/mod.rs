//! App usage events: what apps used from when to when, for those who bill or plan.
//!
//! Written in the transaction of the change: a process starts, stops or, while it is started, changes
//! its instances or memory; an app is staged. They are facts of their time: names and guids stay
//! when the resources are gone. Only those who see everything read them. They are kept for
//! 31 days; the newest one always stays, so that a reader can go on after it.

pub(super) mod handlers;

use axum::Router;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::cloud_controller::model::app_usage_events::AppUsageEvent;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::Urls;

/// `/v3/app_usage_events`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/app_usage_events", get(handlers::list))
        .route("/v3/app_usage_events/{guid}", get(handlers::show))
        .route(
            "/v3/app_usage_events/actions/destructively_purge_all_and_reseed",
            post(handlers::reseed),
        )
}

fn present(event: &AppUsageEvent, urls: &Urls) -> Value {
    let named = |[guid, name]: &[Option<String>; 2]| json!({ "guid": guid, "name": name });
    json!({
        "guid": event.guid,
        "created_at": event.created_at,
        "updated_at": event.created_at,
        "state": { "current": event.state, "previous": event.previous_state },
        "app": named(&event.app),
        "process": { "guid": event.process[0], "type": event.process[1] },
        "space": named(&event.space),
        "organization": { "guid": event.organization_guid },
        "buildpack": named(&event.buildpack),
        "task": named(&event.task),
        "memory_in_mb_per_instance": { "current": event.memory.0, "previous": event.memory.1 },
        "instance_count": { "current": event.instances.0, "previous": event.instances.1 },
        "links": { "self": urls.link(&format!("/v3/app_usage_events/{}", event.guid)) },
    })
}
