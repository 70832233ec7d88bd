//! Isolation segments: names for groups of machines. There is one machine here, so there is one
//! segment, `shared`, and nothing to change.

mod store;

use axum::extract::{Path, RawQuery};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::CloudController;
use super::organizations;
use super::v3::{ApiError, ApiResult, Context, ListQuery, ListRules, Metadata, ResourceType, Urls};
use crate::base::{GuidSource, Timestamp};
use crate::db::{ReadTx, WriteTx};
use store::IsolationSegment;

const LIST: ListRules = ListRules::new(&["names", "organization_guids"]).order_by(&["name"]);
const LIST_ORGANIZATIONS: ListRules = ListRules::new(&["names"]).order_by(&["name"]);

/// `/v3/isolation_segments`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/isolation_segments", get(list))
        .route("/v3/isolation_segments/{guid}", get(show))
        .route(
            "/v3/isolation_segments/{guid}/organizations",
            get(list_organizations),
        )
        .route(
            "/v3/isolation_segments/{guid}/relationships/organizations",
            get(show_organizations),
        )
        .route(
            "/v3/isolation_segments/{guid}/relationships/spaces",
            get(show_spaces),
        )
}

/// Stores the segment `shared` if it is not there.
pub(crate) fn ensure_shared(tx: &WriteTx<'_>, now: Timestamp, guids: &GuidSource) -> ApiResult<()> {
    store::ensure(tx, "shared", now, guids)
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
                .try_present(&query, &urls, "/v3/isolation_segments", |segment| {
                    present(tx, segment, &urls)
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
            let segment = store::find_visible(tx, &caller, &guid)?.ok_or_else(not_found)?;
            present(tx, &segment, &urls).map(Json)
        })
        .await
}

async fn list_organizations(
    ctx: Context,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST_ORGANIZATIONS)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            store::find_visible(tx, &caller, &guid)?.ok_or_else(not_found)?;
            let found = store::list_organizations(tx, &caller, &guid, &query)?;
            let mut organizations = organizations::store::by_guids(tx, &found.rows)?;
            organizations
                .sort_by_key(|o| found.rows.iter().position(|guid| guid == o.guid.as_str()));
            let path = format!("/v3/isolation_segments/{guid}/organizations");
            let shown = organizations::present_all(tx, &organizations, &urls)?;
            let body = found.present_values(&query, &urls, &path, shown);
            Ok::<_, ApiError>(Json(body))
        })
        .await
}

async fn show_organizations(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            store::find_visible(tx, &caller, &guid)?.ok_or_else(not_found)?;
            let path = format!("/v3/isolation_segments/{guid}");
            let links = json!({
                "self": urls.link(&format!("{path}/relationships/organizations")),
                "related": urls.link(&format!("{path}/organizations")),
            });
            let data = guids(&store::organizations(tx, &caller, &guid)?);
            Ok::<_, ApiError>(Json(json!({ "data": data, "links": links })))
        })
        .await
}

async fn show_spaces(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            store::find_visible(tx, &caller, &guid)?.ok_or_else(not_found)?;
            let path = format!("/v3/isolation_segments/{guid}/relationships/spaces");
            let data = guids(&store::spaces(tx, &caller, &guid)?);
            Ok::<_, ApiError>(Json(
                json!({ "data": data, "links": { "self": urls.link(&path) } }),
            ))
        })
        .await
}

fn guids(all: &[String]) -> Value {
    all.iter().map(|guid| json!({ "guid": guid })).collect()
}

fn not_found() -> ApiError {
    ApiError::not_found("Isolation segment")
}

fn present(tx: &ReadTx<'_>, segment: &IsolationSegment, urls: &Urls) -> ApiResult<Value> {
    let path = format!("/v3/isolation_segments/{}", segment.guid);
    let metadata = Metadata::load(tx, ResourceType::IsolationSegment, &segment.guid)?;
    Ok(json!({
        "guid": segment.guid,
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
        "name": segment.name,
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&path),
            "organizations": urls.link(&format!("{path}/organizations")),
        },
    }))
}

#[cfg(test)]
mod tests;
