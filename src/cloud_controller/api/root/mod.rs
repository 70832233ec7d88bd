//! Documents without a token: `/`, `/v3`, `/v3/info`, `/v2/info`, and the 404 of everything else.
//! They link to what is there and to nothing else ([`OnBoard`]).
//!
//! [`OnBoard`]: crate::cloud_controller::on_board::OnBoard

mod links;

use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::{Map, Value, json};

use crate::cloud_controller::api;
use crate::cloud_controller::api::root::links::{Links, link};
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::usage_summaries::Scope;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiError, ApiResult, Context, Urls};
use crate::net::RequestBase;

/// The API version we speak. From 3.211.0 on the CLI asks for `embed=process_instances`.
pub(crate) const API_VERSION: &str = "3.228.0";

/// Names of `/v3`'s links: the resources there are.
const RESOURCES: &[&str] = &[
    "app_usage_events",
    "apps",
    "audit_events",
    "buildpacks",
    "builds",
    "deployments",
    "domains",
    "droplets",
    "environment_variable_groups",
    "feature_flags",
    "info",
    "isolation_segments",
    "organizations",
    "organization_quotas",
    "packages",
    "processes",
    "resource_matches",
    "roles",
    "routes",
    "security_groups",
    "service_instances",
    "service_credential_bindings",
    "service_route_bindings",
    "service_usage_events",
    "spaces",
    "space_quotas",
    "stacks",
    "tasks",
    "users",
];

/// The root documents.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/", get(root))
        .route("/v3", get(v3))
        .route("/v3/info", get(info))
        .route("/v3/info/usage_summary", get(usage_summary))
        .route("/v2/info", get(v2_info))
}

/// Any other path or method: CC's 404, never HTML.
pub(crate) async fn unknown_request() -> ApiError {
    Error::unknown_request().into()
}

async fn root(
    State(cc): State<CloudController>,
    base: Option<Extension<RequestBase>>,
) -> Json<Value> {
    let links = Links::new(&cc, base.as_deref());
    let own = links.own();
    Json(json!({ "links": {
        "self": { "href": own },
        "cloud_controller_v2": Value::Null,
        "cloud_controller_v3": { "href": format!("{own}/v3"), "meta": { "version": API_VERSION } },
        // What the CLI of Cloud Foundry's first years asked.
        "network_policy_v0": null,
        "network_policy_v1": link(links.network_policies()),
        "login": link(Some(links.named("login"))),
        "uaa": link(Some(links.named("uaa"))),
        "credhub": Value::Null,
        "routing": link(links.routing()),
        "logging": link(links.firehose()),
        "log_cache": link(Some(links.named("log-cache"))),
        "log_stream": link(links.log_stream()),
        "app_ssh": links.ssh(),
    } }))
}

async fn v3(
    State(cc): State<CloudController>,
    base: Option<Extension<RequestBase>>,
) -> Json<Value> {
    let urls = Urls::new(Links::new(&cc, base.as_deref()).own());
    let mut links = Map::new();
    links.insert("self".to_owned(), urls.link("/v3"));
    for name in RESOURCES {
        links.insert((*name).to_owned(), urls.link(&format!("/v3/{name}")));
    }
    Json(json!({ "links": links }))
}

async fn info(
    State(cc): State<CloudController>,
    base: Option<Extension<RequestBase>>,
) -> ApiResult<Json<Value>> {
    let urls = Urls::new(Links::new(&cc, base.as_deref()).own());
    Ok(Json(json!({
        "build": env!("CARGO_PKG_VERSION"),
        "cli_version": { "minimum": "", "recommended": "" },
        "custom": {},
        "description": "Cloud Foundry on one machine",
        "name": "cflite",
        "version": 0,
        "osbapi_version": "2.17",
        "rate_limits": { "enabled": false, "general_limit": "", "reset_interval_in_minutes": "" },
        "links": {
            "self": urls.link("/v3/info"),
        },
    })))
}

/// What the whole platform uses; nobody else knows that this exists.
async fn usage_summary(ctx: Context) -> ApiResult<Json<Value>> {
    if !ctx.caller.sees_all() {
        return Err(Error::unknown_request().into());
    }
    ctx.read(move |tx, ctx| {
        let links = json!({ "self": ctx.urls.link("/v3/info/usage_summary") });
        api::usage_summaries::present(tx, Scope::Platform, &links).map(Json)
    })
    .await
}

/// Older tools ask `/v2/info` first; v2 itself is not there.
async fn v2_info(
    State(cc): State<CloudController>,
    base: Option<Extension<RequestBase>>,
) -> Json<Value> {
    let links = Links::new(&cc, base.as_deref());
    Json(json!({
        "name": "cflite",
        "build": env!("CARGO_PKG_VERSION"),
        "version": 0,
        "description": "Cloud Foundry on one machine",
        "authorization_endpoint": links.named("login"),
        "token_endpoint": links.named("uaa"),
        "api_version": "2.255.0",
        "doppler_logging_endpoint": links.firehose(),
        "log_cache_endpoint": links.named("log-cache"),
        "user": Value::Null,
    }))
}
