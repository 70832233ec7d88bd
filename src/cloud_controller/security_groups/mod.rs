//! Security groups: where instances and staging may connect to. The platform starts with the two
//! groups every Cloud Foundry starts with; admins make more.
//!
//! A group applies to the spaces it is bound to, for running or for staging apps, or to all spaces.
//! Cloud Controller writes no audit events about them.

mod actions;
mod bindings;
mod handlers;
mod payload;
mod presenter;
mod rules;
mod store;

use axum::Router;
use axum::routing::{delete, get, post};
use serde_json::json;

use super::CloudController;
use super::v3::ApiResult;
use crate::base::{GuidSource, Timestamp};
use crate::db::WriteTx;

/// `/v3/security_groups` and those of spaces.
pub(crate) fn routes() -> Router<CloudController> {
    const GROUP: &str = "/v3/security_groups/{guid}";
    let relation = |rest: &str| format!("{GROUP}/relationships/{rest}");
    Router::new()
        .route(
            "/v3/security_groups",
            get(handlers::list).post(handlers::create),
        )
        .route(
            GROUP,
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(&relation("running_spaces"), post(bindings::bind_running))
        .route(&relation("staging_spaces"), post(bindings::bind_staging))
        .route(
            &relation("running_spaces/{space}"),
            delete(bindings::unbind_running),
        )
        .route(
            &relation("staging_spaces/{space}"),
            delete(bindings::unbind_staging),
        )
        .route(
            "/v3/spaces/{guid}/running_security_groups",
            get(handlers::list_running),
        )
        .route(
            "/v3/spaces/{guid}/staging_security_groups",
            get(handlers::list_staging),
        )
}

/// Stores `public_networks` and `dns`, enabled everywhere, if they are not there.
pub(crate) fn ensure_defaults(
    tx: &WriteTx<'_>,
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<()> {
    let to = |destination: &str| json!({ "protocol": "all", "destination": destination });
    // Everything but private and link-local networks.
    let public = json!([
        to("0.0.0.0-9.255.255.255"),
        to("11.0.0.0-169.253.255.255"),
        to("169.255.0.0-172.15.255.255"),
        to("172.32.0.0-192.167.255.255"),
        to("192.169.0.0-255.255.255.255"),
    ]);
    let port =
        |protocol: &str| json!({ "protocol": protocol, "destination": "0.0.0.0/0", "ports": "53" });
    let dns = json!([port("tcp"), port("udp")]);
    store::ensure(tx, ("public_networks", &public), now, guids)?;
    store::ensure(tx, ("dns", &dns), now, guids)
}

#[cfg(test)]
mod tests;
