//! Requests on who may use isolation segments.

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::{Value, json};

use super::{actions, payload, store};
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::cloud_controller::organizations;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery, Urls, guid_data,
};
use crate::db::ReadTx;

/// `GET /v3/isolation_segments/:guid/organizations`.
pub(super) async fn list(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_ORGANIZATIONS)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            store::get_visible(tx, &caller, &guid)?;
            let found = store::list_organizations(tx, &caller, &guid, &query)?;
            let mut rows = organizations::store::by_guids(tx, &found.rows)?;
            rows.sort_by_key(|o| found.rows.iter().position(|guid| guid == o.guid.as_str()));
            let path = format!("/v3/isolation_segments/{guid}/organizations");
            let shown = organizations::present_all(tx, &rows, &urls)?;
            Ok::<_, ApiError>(Json(found.present_values(&query, &urls, &path, shown)?))
        })
        .await
}

/// `GET /v3/isolation_segments/:guid/relationships/organizations`.
pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            store::get_visible(tx, &caller, &guid)?;
            present(tx, &caller, &guid, &urls)
        })
        .await
}

/// `POST /v3/isolation_segments/:guid/relationships/organizations`.
pub(super) async fn entitle(
    ctx: Context,
    Path(guid): Path<IsolationSegmentGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.caller.must_be_admin()?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let segment = store::get_visible(tx, &caller, &guid)?;
            actions::entitle(tx, &segment, &body.finish_to_many()?)?;
            present(tx, &caller, &guid, &urls)
        })
        .await
}

/// `DELETE /v3/isolation_segments/:guid/relationships/organizations/:organization`.
pub(super) async fn revoke(
    ctx: Context,
    Path((guid, organization)): Path<(IsolationSegmentGuid, OrganizationGuid)>,
) -> ApiResult<StatusCode> {
    ctx.caller.must_be_admin()?;
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let segment = store::get_visible(tx, &caller, &guid)?;
            actions::revoke(tx, &segment, &organization)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

fn present(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &IsolationSegmentGuid,
    urls: &Urls,
) -> ApiResult<Json<Value>> {
    let path = format!("/v3/isolation_segments/{guid}");
    let organizations = store::organizations(tx, caller, guid)?;
    Ok(Json(json!({
        "data": guid_data(&organizations),
        "links": {
            "self": urls.link(&format!("{path}/relationships/organizations")),
            "related": urls.link(&format!("{path}/organizations")),
        },
    })))
}
