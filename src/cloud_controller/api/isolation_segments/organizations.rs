//! Requests on who may use isolation segments.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::{Value, json};

use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls, guid_data};
use crate::cloud_controller::{actions, api, model, payload};
use crate::db::ReadTx;

/// `GET /v3/isolation_segments/:guid/organizations`.
pub(super) async fn list(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(
        query.as_deref(),
        &payload::isolation_segments::LIST_ORGANIZATIONS,
    )?;
    ctx.read(move |tx, ctx| {
        model::isolation_segments::get_visible(tx, &ctx.caller, &guid)?;
        let found = model::isolation_segments::list_organizations(tx, &ctx.caller, &guid, &query)?;
        let mut rows = model::organizations::by_guids(tx, &found.rows)?;
        rows.sort_by_key(|o| found.rows.iter().position(|guid| guid == o.guid.as_str()));
        let path = format!("/v3/isolation_segments/{guid}/organizations");
        let shown = api::organizations::presenter::present_all(tx, &rows, &ctx.urls)?;
        Ok(Json(found.present_values(&query, &ctx.urls, &path, shown)?))
    })
    .await
}

/// `GET /v3/isolation_segments/:guid/relationships/organizations`.
pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        model::isolation_segments::get_visible(tx, &ctx.caller, &guid)?;
        present(tx, &ctx.caller, &guid, &ctx.urls)
    })
    .await
}

/// `POST /v3/isolation_segments/:guid/relationships/organizations`.
pub(super) async fn entitle(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let may = ctx.may_administer()?;
    ctx.write(move |tx, ctx| {
        let segment = model::isolation_segments::get_visible(tx, &ctx.caller, &guid)?;
        actions::isolation_segments::entitle(tx, &may, &segment, &body.finish_to_many()?)?;
        present(tx, &ctx.caller, &guid, &ctx.urls)
    })
    .await
}

/// `DELETE /v3/isolation_segments/:guid/relationships/organizations/:organization`.
pub(super) async fn revoke(
    ctx: Context,
    Path((guid, organization)): Path<(IsolationSegmentGuid, OrganizationGuid)>,
) -> ApiResult<StatusCode> {
    let may = ctx.may_administer()?;
    ctx.write(move |tx, ctx| {
        let segment = model::isolation_segments::get_visible(tx, &ctx.caller, &guid)?;
        actions::isolation_segments::revoke(tx, &may, &segment, &organization)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn present(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &IsolationSegmentGuid,
    urls: &Urls,
) -> Result<Json<Value>> {
    let path = format!("/v3/isolation_segments/{guid}");
    let organizations = model::isolation_segments::organizations(tx, caller, guid)?;
    Ok(Json(json!({
        "data": guid_data(&organizations),
        "links": {
            "self": urls.link(&format!("{path}/relationships/organizations")),
            "related": urls.link(&format!("{path}/organizations")),
        },
    })))
}
