//! Requests on organizations.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::{actions, payload, presenter, store};
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::cloud_controller::usage_summaries::Scope;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, JsonBody, ListBody, ListQuery, Metadata, ResourceType, Urls,
    related_one,
};
use crate::cloud_controller::{feature_flags, jobs, roles, usage_summaries};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let shown = presenter::present_all(tx, &found.rows, &urls)?;
            let body = found.present_values(&query, &urls, "/v3/organizations", shown)?;
            Ok::<_, ApiError>(Json(body))
        })
        .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let organization = store::get_visible(tx, &caller, &guid)?;
            presenter::present_from(tx, &organization, &urls).map(Json)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let change = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let by_flag = !caller.is_admin() && feature_flags::enabled(tx, "user_org_creation")?;
            if !by_flag || change.suspended == Some(true) {
                caller.must_be_admin()?;
            }
            let organization = actions::create(tx, &recorder, change)?;
            if by_flag {
                roles::actions::make_manager(tx, &recorder, &caller.guid, &organization.guid)?;
            }
            let metadata =
                Metadata::load(tx, ResourceType::Organization, organization.guid.as_str())?;
            Ok((
                StatusCode::CREATED,
                Json(presenter::present(&organization, &metadata, &urls)),
            ))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::update(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let organization = store::get_visible(tx, &caller, &guid)?;
            caller.may_manage_organization(tx, &guid)?;
            if change.suspended == Some(true) {
                caller.must_be_admin()?;
            }
            let organization = actions::update(tx, &recorder, organization, change)?;
            presenter::present_from(tx, &organization, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let organization = store::get_visible(tx, &caller, &guid)?;
            caller.must_be_admin()?;
            let operation = "organization.delete";
            // The client is told by its job, and nothing is deleted.
            if let Some(fault) = actions::deletion_fault(tx, &organization)? {
                let failed = jobs::Finished {
                    operation,
                    resource: organization.guid.as_str(),
                    result: Err(fault),
                };
                let job = jobs::record(tx, failed, recorder.now, &recorder.guids)?;
                return Ok(jobs::accepted(&job, &urls));
            }
            actions::delete(tx, &recorder, &organization)?;
            let job = jobs::record_complete(tx, operation, recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

pub(super) async fn show_default_isolation_segment(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let organization = store::get_visible(tx, &caller, &guid)?;
            let segment = organization.default_isolation_segment_guid;
            Ok::<_, ApiError>(Json(default_segment(segment.as_ref(), &guid, &urls)))
        })
        .await
}

pub(super) async fn set_default_isolation_segment(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let wanted = body.finish_to_one()?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let organization = store::get_visible(tx, &caller, &guid)?;
            caller.may_manage_organization(tx, &guid)?;
            let segment = match wanted {
                None => organization.default_isolation_segment_guid,
                Some(segment) => {
                    let segment = segment.map(IsolationSegmentGuid::from);
                    actions::set_default_segment(tx, &guid, segment.as_ref())?;
                    segment
                }
            };
            Ok(Json(default_segment(segment.as_ref(), &guid, &urls)))
        })
        .await
}

fn default_segment(
    segment: Option<&IsolationSegmentGuid>,
    guid: &OrganizationGuid,
    urls: &Urls,
) -> Value {
    let path = format!("/v3/organizations/{guid}/relationships/default_isolation_segment");
    related_one(segment, urls, (&path, "/v3/isolation_segments"))
}

pub(super) async fn usage_summary(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            store::get_visible(tx, &caller, &guid)?;
            let links = json!({
                "self": urls.link(&format!("/v3/organizations/{guid}/usage_summary")),
                "organization": urls.link(&format!("/v3/organizations/{guid}")),
            });
            usage_summaries::present(tx, Scope::Organization(&guid), &links).map(Json)
        })
        .await
}
