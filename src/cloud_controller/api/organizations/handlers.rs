//! Requests on organizations.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::{IsolationSegmentGuid, OrganizationGuid};
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::jobs::Work;
use crate::cloud_controller::model::usage_summaries::Scope;
use crate::cloud_controller::permits::{MayCreateOrganization, OrganizationSuspension};
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{
    ApiResult, Context, JsonBody, ListBody, Paths, Urls, related_one,
};
use crate::cloud_controller::{actions, api, flows, model, payload, v3};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::organizations::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::organizations::list_visible(tx, &ctx.caller, &query)?;
        let shown = presenter::present_all(tx, &found.rows, &ctx.urls)?;
        let body = found.present_values(&query, &ctx.urls, "/v3/organizations", shown)?;
        Ok(Json(body))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let organization = model::organizations::get_visible(tx, &ctx.caller, &guid)?;
        presenter::present_from(tx, &organization, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::organizations::create(body)?;
    ctx.write(move |tx, ctx| {
        let suspended = wanted.suspended == Some(true);
        let by_flag = !ctx.caller.is_admin() && !suspended;
        let may = if by_flag {
            MayCreateOrganization::by_flag(tx, ctx.recorder())?
        } else {
            MayCreateOrganization::by_administrator(ctx.may_administer()?, suspended)
        };
        let organization = actions::organizations::create(tx, &may, wanted.change)?;
        if by_flag {
            actions::roles::make_manager(tx, &may, &ctx.caller.guid, &organization.guid)?;
        }
        let metadata = Metadata::load(tx, ResourceType::Organization, organization.guid.as_str())?;
        Ok((
            StatusCode::CREATED,
            Json(presenter::present(&organization, &metadata, &ctx.urls)),
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let wanted = payload::organizations::update(body)?;
    ctx.write(move |tx, ctx| {
        let organization = model::organizations::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_manage(tx, &guid)?;
        let suspension = wanted
            .suspended
            .map(|suspended| OrganizationSuspension::check(&ctx.caller, &may, suspended))
            .transpose()?;
        let suspension = suspension.as_ref();
        let organization =
            actions::organizations::update(tx, &may, organization, wanted.change, suspension)?;
        presenter::present_from(tx, &organization, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let organization = model::organizations::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_administer()?;
        let operation = "organization.delete";
        // The job reports the error, and nothing is deleted.
        if let Some(fault) = actions::organizations::deletion_fault(tx, &organization)? {
            let failed = v3::jobs::Finished {
                work: Work {
                    operation,
                    resource: organization.guid.as_str(),
                },
                result: Err(fault),
            };
            let job = v3::jobs::record(tx, failed, &may)?;
            return Ok(v3::jobs::accepted(&job, &ctx.urls));
        }
        if let Some(job) = flows::cascades::start_organization(tx, &may, &organization)? {
            return Ok(v3::jobs::accepted(&job, &ctx.urls));
        }
        flows::deletion::organization(tx, &may, &organization)?;
        let job = v3::jobs::record_complete(tx, operation, &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn show_default_isolation_segment(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let organization = model::organizations::get_visible(tx, &ctx.caller, &guid)?;
        let segment = organization.default_isolation_segment_guid;
        Ok(Json(default_segment(segment.as_ref(), &guid, &ctx.urls)))
    })
    .await
}

pub(super) async fn set_default_isolation_segment(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let wanted = body.finish_to_one()?;
    ctx.write(move |tx, ctx| {
        let organization = model::organizations::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_manage(tx, &guid)?;
        let segment = match wanted {
            None => organization.default_isolation_segment_guid,
            Some(segment) => {
                let segment = segment.map(IsolationSegmentGuid::from);
                actions::organizations::set_default_segment(tx, &may, &guid, segment.as_ref())?;
                segment
            }
        };
        Ok(Json(default_segment(segment.as_ref(), &guid, &ctx.urls)))
    })
    .await
}

fn default_segment(
    segment: Option<&IsolationSegmentGuid>,
    guid: &OrganizationGuid,
    urls: &Urls,
) -> Value {
    let path = format!("/v3/organizations/{guid}/relationships/default_isolation_segment");
    let paths = Paths {
        relationship: &path,
        resources: "/v3/isolation_segments",
    };
    related_one(segment, urls, paths)
}

pub(super) async fn usage_summary(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        model::organizations::get_visible(tx, &ctx.caller, &guid)?;
        let links = json!({
            "self": ctx.urls.link(&format!("/v3/organizations/{guid}/usage_summary")),
            "organization": ctx.urls.link(&format!("/v3/organizations/{guid}")),
        });
        api::usage_summaries::present(tx, Scope::Organization(&guid), &links).map(Json)
    })
    .await
}
