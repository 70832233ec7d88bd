//! Requests on spaces.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::{IsolationSegmentGuid, SpaceGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::usage_summaries::Scope;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{
    ApiResult, Context, Included, JsonBody, ListBody, Paths, Urls, related_one, with_included,
};
use crate::cloud_controller::{actions, api, flows, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::spaces::LIST)?;
    ctx.read(move |tx, ctx| {
        let found = model::spaces::list_visible(tx, &ctx.caller, &query)?;
        let shown = presenter::present_all(tx, &found.rows, &ctx.urls)?;
        let body = found.present_values(&query, &ctx.urls, "/v3/spaces", shown)?;
        Ok(Json(body.including(included(
            tx,
            &found.rows,
            &query,
            &ctx.urls,
        )?)))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), payload::spaces::INCLUDES, &[])?;
    ctx.read(move |tx, ctx| {
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        let body = presenter::present_from(tx, &space, &ctx.urls)?;
        Ok(Json(with_included(
            body,
            included(tx, &[space], &query, &ctx.urls)?,
        )))
    })
    .await
}

fn included(
    tx: &ReadTx<'_>,
    spaces: &[model::spaces::Space],
    query: &ListQuery,
    urls: &Urls,
) -> Result<Included> {
    if !query.includes("org") && !query.includes("organization") {
        return Ok(Vec::new());
    }
    let guids: Vec<String> = spaces
        .iter()
        .map(|space| space.organization_guid.to_string())
        .collect();
    let found = model::organizations::by_guids(tx, &guids)?;
    let shown = api::organizations::presenter::present_all(tx, &found, urls)?;
    Ok(vec![("organizations", shown)])
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::spaces::create(body)?;
    ctx.write(move |tx, ctx| {
        let organization = model::organizations::find_visible(
            tx,
            &ctx.caller,
            &wanted.organization,
        )?
        .ok_or_else(|| {
            Error::unprocessable(
                "Invalid organization. Ensure the organization exists and you have access to it.",
            )
        })?;
        let may = ctx.may_manage(tx, &organization.guid)?;
        let space = actions::spaces::create(tx, &may, &organization, wanted)?;
        Ok((
            StatusCode::CREATED,
            Json(presenter::present_from(tx, &space, &ctx.urls)?),
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let wanted = payload::spaces::update(body)?;
    ctx.write(move |tx, ctx| {
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_manage_space(tx, &guid)?;
        let suspension = match wanted.suspended {
            Some(suspended) => {
                let organization = ctx.may_manage(tx, &space.organization_guid)?;
                Some(organization.suspension(&space, suspended)?)
            }
            None => None,
        };
        let space = actions::spaces::update(tx, &may, space, wanted.change, suspension.as_ref())?;
        presenter::present_from(tx, &space, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<SpaceGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_manage(tx, &space.organization_guid)?;
        if let Some(job) = flows::cascades::start_space(tx, &may, &space)? {
            return Ok(v3::jobs::accepted(&job, &ctx.urls));
        }
        flows::deletion::space(tx, &may, &space)?;
        let job = v3::jobs::record_complete(tx, "space.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn show_isolation_segment(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        let segment = space.isolation_segment_guid;
        Ok(Json(segment_of(segment.as_ref(), &guid, &ctx.urls)))
    })
    .await
}

pub(super) async fn set_isolation_segment(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_manage(tx, &space.organization_guid)?;
        let segment = body.finish_to_one()?.flatten();
        let segment = segment.map(IsolationSegmentGuid::from);
        let space = actions::spaces::set_isolation_segment(tx, &may, space, segment)?;
        let segment = space.isolation_segment_guid;
        Ok(Json(segment_of(segment.as_ref(), &guid, &ctx.urls)))
    })
    .await
}

fn segment_of(segment: Option<&IsolationSegmentGuid>, guid: &SpaceGuid, urls: &Urls) -> Value {
    let path = format!("/v3/spaces/{guid}/relationships/isolation_segment");
    let paths = Paths {
        relationship: &path,
        resources: "/v3/isolation_segments",
    };
    related_one(segment, urls, paths)
}

pub(super) async fn usage_summary(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        let links = json!({
            "self": ctx.urls.link(&format!("/v3/spaces/{guid}/usage_summary")),
            "space": ctx.urls.link(&format!("/v3/spaces/{guid}")),
        });
        api::usage_summaries::present(tx, Scope::Space(&guid), &links).map(Json)
    })
    .await
}

pub(super) async fn list_features(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        Ok(Json(
            json!({ "resources": [presenter::ssh_feature(&space)] }),
        ))
    })
    .await
}

pub(super) async fn show_feature(
    ctx: Context,
    Path((guid, name)): Path<(SpaceGuid, String)>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        must_be_ssh(&name)?;
        Ok(Json(presenter::ssh_feature(&space)))
    })
    .await
}

/// There is one feature.
fn must_be_ssh(name: &str) -> Result<()> {
    if name == "ssh" {
        Ok(())
    } else {
        Err(Error::not_found("Feature"))
    }
}

pub(super) async fn update_feature(
    ctx: Context,
    Path((guid, name)): Path<(SpaceGuid, String)>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let allowed = payload::spaces::feature(body)?;
    ctx.write(move |tx, ctx| {
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        must_be_ssh(&name)?;
        let may = ctx.may_manage_space(tx, &guid)?;
        actions::spaces::set_ssh(tx, &may, space, allowed)?;
        let space = model::spaces::get_visible(tx, &ctx.caller, &guid)?;
        Ok(Json(presenter::ssh_feature(&space)))
    })
    .await
}
