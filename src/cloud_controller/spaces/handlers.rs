//! Requests on spaces.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::{actions, payload, presenter, store};
use crate::base::guid::{IsolationSegmentGuid, SpaceGuid};
use crate::cloud_controller::usage_summaries::Scope;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, Included, JsonBody, ListBody, ListQuery, Urls, related_one,
    with_included,
};
use crate::cloud_controller::{jobs, organizations, usage_summaries};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let shown = presenter::present_all(tx, &found.rows, &urls)?;
            let body = found.present_values(&query, &urls, "/v3/spaces", shown)?;
            Ok(Json(body.including(included(
                tx,
                &found.rows,
                &query,
                &urls,
            )?)))
        })
        .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), payload::INCLUDES, &[])?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let space = store::get_visible(tx, &caller, &guid)?;
            let body = presenter::present_from(tx, &space, &urls)?;
            Ok(Json(with_included(
                body,
                included(tx, &[space], &query, &urls)?,
            )))
        })
        .await
}

fn included(
    tx: &ReadTx<'_>,
    spaces: &[store::Space],
    query: &ListQuery,
    urls: &Urls,
) -> ApiResult<Included> {
    if !query.includes("org") && !query.includes("organization") {
        return Ok(Vec::new());
    }
    let guids: Vec<String> = spaces
        .iter()
        .map(|space| space.organization_guid.to_string())
        .collect();
    let found = organizations::store::by_guids(tx, &guids)?;
    let shown = organizations::present_all(tx, &found, urls)?;
    Ok(vec![("organizations", shown)])
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let organization = organizations::store::find_visible(tx, &caller, &wanted.organization)?.ok_or_else(
                || ApiError::unprocessable("Invalid organization. Ensure the organization exists and you have access to it."),
            )?;
            caller.may_manage_organization(tx, &organization.guid)?;
            let space = actions::create(tx, &recorder, &organization, wanted)?;
            Ok((StatusCode::CREATED, Json(presenter::present_from(tx, &space, &urls)?)))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::update(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let space = store::get_visible(tx, &caller, &guid)?;
            caller.may_manage_space(tx, &guid)?;
            if change.suspended.is_some() {
                caller.may_manage_organization(tx, &space.organization_guid)?;
            }
            let space = actions::update(tx, &recorder, space, change)?;
            presenter::present_from(tx, &space, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<SpaceGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let space = store::get_visible(tx, &caller, &guid)?;
            caller.may_manage_organization(tx, &space.organization_guid)?;
            actions::delete(tx, &recorder, &space)?;
            let job = jobs::record_complete(tx, "space.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

pub(super) async fn show_isolation_segment(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let space = store::get_visible(tx, &caller, &guid)?;
            let segment = space.isolation_segment_guid;
            Ok::<_, ApiError>(Json(segment_of(segment.as_ref(), &guid, &urls)))
        })
        .await
}

pub(super) async fn set_isolation_segment(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let space = store::get_visible(tx, &caller, &guid)?;
            caller.may_manage_organization(tx, &space.organization_guid)?;
            let segment = body.finish_to_one()?.flatten();
            let segment = segment.map(IsolationSegmentGuid::from);
            let space = actions::set_isolation_segment(tx, &recorder, space, segment)?;
            let segment = space.isolation_segment_guid;
            Ok(Json(segment_of(segment.as_ref(), &guid, &urls)))
        })
        .await
}

fn segment_of(segment: Option<&IsolationSegmentGuid>, guid: &SpaceGuid, urls: &Urls) -> Value {
    let path = format!("/v3/spaces/{guid}/relationships/isolation_segment");
    related_one(segment, urls, (&path, "/v3/isolation_segments"))
}

pub(super) async fn usage_summary(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            store::get_visible(tx, &caller, &guid)?;
            let links = json!({
                "self": urls.link(&format!("/v3/spaces/{guid}/usage_summary")),
                "space": urls.link(&format!("/v3/spaces/{guid}")),
            });
            usage_summaries::present(tx, Scope::Space(&guid), &links).map(Json)
        })
        .await
}

pub(super) async fn list_features(
    ctx: Context,
    Path(guid): Path<SpaceGuid>,
) -> ApiResult<Json<Value>> {
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let space = store::get_visible(tx, &caller, &guid)?;
            Ok::<_, ApiError>(Json(
                json!({ "resources": [presenter::ssh_feature(&space)] }),
            ))
        })
        .await
}

pub(super) async fn show_feature(
    ctx: Context,
    Path((guid, name)): Path<(SpaceGuid, String)>,
) -> ApiResult<Json<Value>> {
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let space = store::get_visible(tx, &caller, &guid)?;
            must_be_ssh(&name)?;
            Ok::<_, ApiError>(Json(presenter::ssh_feature(&space)))
        })
        .await
}

/// There is one feature.
fn must_be_ssh(name: &str) -> ApiResult<()> {
    if name == "ssh" {
        Ok(())
    } else {
        Err(ApiError::not_found("Feature"))
    }
}

pub(super) async fn update_feature(
    ctx: Context,
    Path((guid, name)): Path<(SpaceGuid, String)>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let allowed = payload::feature(body)?;
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let space = store::get_visible(tx, &caller, &guid)?;
            must_be_ssh(&name)?;
            caller.may_manage_space(tx, &guid)?;
            actions::set_ssh(tx, &recorder, space, allowed)?;
            let space = store::get_visible(tx, &caller, &guid)?;
            Ok::<_, ApiError>(Json(presenter::ssh_feature(&space)))
        })
        .await
}
