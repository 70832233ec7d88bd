//! Security groups: where instances and staging may connect to. Read only: the two groups every
//! Cloud Foundry starts with, for all spaces and both lifecycles.

mod store;

use axum::extract::{Path, RawQuery};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::CloudController;
use super::spaces;
use super::v3::{ApiError, ApiResult, Context, ListQuery, ListRules, Urls};
use crate::base::guid::SpaceGuid;
use crate::base::{GuidSource, Timestamp};
use crate::db::WriteTx;
use store::{Lifecycle, SecurityGroup};

const LIST: ListRules =
    ListRules::new(&["names", "running_space_guids", "staging_space_guids"]).without_labels();
const LIST_RULES: ListRules =
    LIST.extras(&["globally_enabled_running", "globally_enabled_staging"]);
const LIST_OF_SPACE: ListRules = ListRules::new(&["names"]).without_labels();

/// `/v3/security_groups` and those of spaces.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/security_groups", get(list))
        .route("/v3/security_groups/{guid}", get(show))
        .route(
            "/v3/spaces/{guid}/running_security_groups",
            get(list_running),
        )
        .route(
            "/v3/spaces/{guid}/staging_security_groups",
            get(list_staging),
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

async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST_RULES)?;
    let running = switch(
        &query,
        "globally_enabled_running",
        "Globally enabled running",
    )?;
    let staging = switch(
        &query,
        "globally_enabled_staging",
        "Globally enabled staging",
    )?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, [running, staging])?;
            found
                .try_present(&query, &urls, "/v3/security_groups", |group| {
                    present(group, &store::spaces(tx, &caller, &group.guid)?, &urls)
                })
                .map(Json)
        })
        .await
}

fn switch(query: &ListQuery, name: &str, shown: &str) -> ApiResult<Option<bool>> {
    match query.raw(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(ApiError::unprocessable(format!(
            "{shown} must be 'true' or 'false'"
        ))),
    }
}

async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let group = store::find_visible(tx, &caller, &guid)?
                .ok_or_else(|| ApiError::not_found("Security group"))?;
            present(&group, &store::spaces(tx, &caller, &guid)?, &urls).map(Json)
        })
        .await
}

async fn list_running(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    list_of_space(ctx, guid, query, Lifecycle::Running).await
}

async fn list_staging(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    list_of_space(ctx, guid, query, Lifecycle::Staging).await
}

async fn list_of_space(
    ctx: Context,
    guid: SpaceGuid,
    query: Option<String>,
    lifecycle: Lifecycle,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST_OF_SPACE)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            spaces::store::get_visible(tx, &caller, &guid)?;
            let found = store::list_of_space(tx, &guid, lifecycle, &query)?;
            let path = format!("/v3/spaces/{guid}/{}_security_groups", lifecycle.as_str());
            found
                .try_present(&query, &urls, &path, |group| {
                    let mut bound = store::spaces(tx, &caller, &group.guid)?;
                    bound.retain(|(space, _)| *space == guid);
                    present(group, &bound, &urls)
                })
                .map(Json)
        })
        .await
}

fn present(
    group: &SecurityGroup,
    bound: &[(SpaceGuid, Lifecycle)],
    urls: &Urls,
) -> ApiResult<Value> {
    let spaces = |wanted: Lifecycle| -> Vec<Value> {
        let of_lifecycle = bound.iter().filter(|(_, lifecycle)| *lifecycle == wanted);
        of_lifecycle
            .map(|(guid, _)| json!({ "guid": guid }))
            .collect()
    };
    let rules: Value = serde_json::from_str(&group.rules)?;
    Ok(json!({
        "guid": group.guid,
        "created_at": group.created_at,
        "updated_at": group.updated_at,
        "name": group.name,
        "rules": rules,
        "globally_enabled": { "running": group.globally_running, "staging": group.globally_staging },
        "relationships": {
            "running_spaces": { "data": spaces(Lifecycle::Running) },
            "staging_spaces": { "data": spaces(Lifecycle::Staging) },
        },
        "links": { "self": urls.link(&format!("/v3/security_groups/{}", group.guid)) },
    }))
}

#[cfg(test)]
mod tests;
