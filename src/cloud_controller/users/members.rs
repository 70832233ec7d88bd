//! The users of an organization or a space: all that have a role there.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::Value;

use super::{LIST, check_names, present_all, store};
use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::cloud_controller::v3::{ApiError, ApiResult, Context, ListQuery, Urls};
use crate::cloud_controller::{organizations, spaces};
use crate::db::ReadTx;

/// `GET /v3/organizations/:guid/users`.
pub(super) async fn of_organization(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    check_names(&query)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            organizations::store::get_visible(tx, &caller, &guid)?;
            let path = format!("/v3/organizations/{guid}/users");
            members(
                tx,
                &query,
                ("organization_guid", guid.as_str()),
                (&urls, &path),
            )
        })
        .await
}

/// `GET /v3/spaces/:guid/users`.
pub(super) async fn of_space(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    check_names(&query)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            spaces::store::get_visible(tx, &caller, &guid)?;
            let path = format!("/v3/spaces/{guid}/users");
            members(tx, &query, ("space_guid", guid.as_str()), (&urls, &path))
        })
        .await
}

fn members(
    tx: &ReadTx<'_>,
    query: &ListQuery,
    scope: (&str, &str),
    (urls, path): (&Urls, &str),
) -> ApiResult<Json<Value>> {
    let found = store::list_members(tx, scope, query)?;
    let shown = present_all(tx, &found.rows, urls)?;
    Ok::<_, ApiError>(Json(found.present_values(query, urls, path, shown)))
}
