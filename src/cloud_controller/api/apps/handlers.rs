//! Requests on apps.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::{AppGuid, DropletGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::stacks::StackUse;
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{
    ApiResult, Context, Included, JsonBody, ListBody, Urls, Warnings, with_included,
};
use crate::cloud_controller::{actions, api, flows, model, payload, v3};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = list_query(query.as_deref())?;
    ctx.read(move |tx, ctx| {
        let all = Listing {
            path: "/v3/apps",
            stack: None,
        };
        page(tx, &ctx.caller, &query, all, &ctx.urls).map(Json)
    })
    .await
}

/// Checks the query of a list of apps.
pub(crate) fn list_query(query: Option<&str>) -> Result<ListQuery> {
    let query = ListQuery::parse(query, &payload::apps::LIST)?;
    payload::apps::lifecycle_type(&query)?;
    Ok(query)
}

/// Which apps are listed where.
pub(crate) struct Listing<'a> {
    pub path: &'a str,
    /// Only those on this stack.
    pub stack: Option<&'a str>,
}

/// A page of apps.
pub(crate) fn page(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    listing: Listing<'_>,
    urls: &Urls,
) -> Result<ListBody> {
    let lifecycle = payload::apps::lifecycle_type(query)?;
    let found = model::apps::list_visible(tx, caller, query, lifecycle, listing.stack)?;
    let guids = found.rows.iter().map(|app| app.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::App, guids)?;
    let body = found.present(query, urls, listing.path, |app| {
        presenter::present(app, metadata.of(app.guid.as_str()), urls)
    })?;
    Ok(body.including(included(tx, urls, query, &found.rows)?))
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), payload::apps::INCLUDES, &[])?;
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let body = presenter::present_from(tx, &app, &ctx.urls)?;
        let included = included(tx, &ctx.urls, &query, &[app])?;
        Ok(Json(with_included(body, included)))
    })
    .await
}

/// Who sees an app sees its space and organization.
fn included(tx: &ReadTx<'_>, urls: &Urls, query: &ListQuery, apps: &[App]) -> Result<Included> {
    let (with_organization, with_space) = (
        query.includes("org") || query.includes("space.organization"),
        query.includes("space") || query.includes("space.organization"),
    );
    if !with_space && !with_organization {
        return Ok(Vec::new());
    }
    let mut guids: Vec<String> = apps.iter().map(|app| app.space_guid.to_string()).collect();
    guids.sort_unstable();
    guids.dedup();
    let found = model::spaces::by_guids(tx, &guids)?;
    let mut included = Vec::new();
    if with_space {
        let guids = found.iter().map(|space| space.guid.as_str());
        let metadata = Metadata::of_all(tx, ResourceType::Space, guids)?;
        let shown = found.iter().map(|space| {
            api::spaces::presenter::present(space, metadata.of(space.guid.as_str()), urls)
        });
        included.push(("spaces", shown.collect()));
    }
    if with_organization {
        let mut guids: Vec<String> = found
            .iter()
            .map(|space| space.organization_guid.to_string())
            .collect();
        guids.sort_unstable();
        guids.dedup();
        let metadata = Metadata::of_all(
            tx,
            ResourceType::Organization,
            guids.iter().map(String::as_str),
        )?;
        let all = model::organizations::by_guids(tx, &guids)?;
        let shown = all.iter().map(|organization| {
            let metadata = metadata.of(organization.guid.as_str());
            api::organizations::presenter::present(organization, metadata, urls)
        });
        included.push(("organizations", shown.collect()));
    }
    Ok(included)
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Warnings, Json<Value>)> {
    let wanted = payload::apps::create(body)?;
    let (vault, default_stack) = (
        ctx.cc.vault().clone(),
        ctx.cc.settings().default_stack.clone(),
    );
    ctx.write(move |tx, ctx| {
        if model::spaces::find_visible(tx, &ctx.caller, &wanted.space)?.is_none() {
            return Err(Error::unprocessable(
                "Invalid space. Ensure that the space exists and you have access to it.",
            ));
        }
        let may = ctx.may_write(tx, &wanted.space)?;
        if let Some(flag) = wanted
            .lifecycle
            .kind
            .and_then(model::apps::LifecycleType::feature_flag)
        {
            actions::feature_flags::require(tx, &ctx.caller, flag)?;
        }
        let app = actions::apps::create(tx, &may, &vault, wanted, &default_stack)?;
        let warning = match &app.lifecycle.stack {
            Some(stack) => actions::apps_lifecycle::stack_warning(tx, stack, StackUse::NewApp)?,
            None => None,
        };
        Ok((
            StatusCode::CREATED,
            Warnings::from_iter(warning),
            Json(presenter::present_from(tx, &app, &ctx.urls)?),
        ))
    })
    .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<(Warnings, Json<Value>)> {
    let change = payload::apps::update(body)?;
    let vault = ctx.cc.vault().clone();
    let default_stack = ctx.cc.settings().default_stack.clone();
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        let warning = match change.lifecycle.stack.clone().flatten() {
            Some(stack) => {
                let usage = actions::apps_lifecycle::usage_of(tx, &guid)?;
                actions::apps_lifecycle::stack_warning(tx, &stack, usage)?
            }
            None => None,
        };
        let lifecycle = change.lifecycle.clone();
        let app = actions::apps::update(tx, &may, app, change, &default_stack, Cause::Request)?;
        let app = actions::apps::set_credentials(tx, &may, &vault, app, &lifecycle)?;
        let shown = presenter::present_from(tx, &app, &ctx.urls)?;
        Ok((Warnings::from_iter(warning), Json(shown)))
    })
    .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?;
        if let Some(job) = flows::cascades::start_app(tx, &may, &app)? {
            return Ok(v3::jobs::accepted(&job, &ctx.urls));
        }
        flows::deletion::app(tx, &may, &app)?;
        let job = v3::jobs::record_complete(tx, "app.delete", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

/// What a start needs: visible, a droplet, the right, the feature flag.
fn startable(tx: &ReadTx<'_>, ctx: &Context, guid: &AppGuid) -> Result<(MaySupport, App)> {
    let app = model::apps::get_visible(tx, &ctx.caller, guid)?;
    if app.current_droplet_guid.is_none() {
        return Err(Error::unprocessable(
            "Assign a droplet before starting this app.",
        ));
    }
    let may = ctx.may_support(tx, &app.space_guid)?;
    if let Some(flag) = app.lifecycle.kind.feature_flag() {
        actions::feature_flags::require(tx, &ctx.caller, flag)?;
    }
    Ok((may, app))
}

pub(super) async fn start(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let snapshots = Snapshots::of(&ctx.cc);
    ctx.write(move |tx, ctx| {
        let (may, app) = startable(tx, ctx, &guid)?;
        let app = flows::running::start(tx, &may, &snapshots, app)?;
        presenter::present_from(tx, &app, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn restart(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let snapshots = Snapshots::of(&ctx.cc);
    ctx.write(move |tx, ctx| {
        let (may, app) = startable(tx, ctx, &guid)?;
        let app = flows::running::restart(tx, &may, &snapshots, app)?;
        presenter::present_from(tx, &app, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn stop(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &app.space_guid)?;
        let app = flows::running::stop(tx, &may, app)?;
        presenter::present_from(tx, &app, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn clear_buildpack_cache(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &app.space_guid)?;
        actions::apps::clear_buildpack_cache(tx, &may, &app)?;
        let job = v3::jobs::record_complete(tx, "app.clear_buildpack_cache", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

/// What every app's staging kept, for admins who need the space.
pub(super) async fn clear_buildpack_caches(ctx: Context) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let may = ctx.may_administer()?;
        actions::apps::clear_buildpack_caches(tx, &may)?;
        let job = v3::jobs::record_complete(tx, "admin.clear_buildpack_cache", &may)?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

pub(super) async fn show_current_droplet(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let droplet = app
            .current_droplet_guid
            .ok_or_else(|| Error::not_found("Droplet"))?;
        Ok(Json(presenter::current_droplet(&guid, &droplet, &ctx.urls)))
    })
    .await
}

pub(super) async fn assign_current_droplet(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(mut body): JsonBody,
) -> ApiResult<Json<Value>> {
    // Lenient as CC is: nothing but data.guid is looked at.
    let droplet = match body.fields.nullable("data") {
        Some(Value::Null) => {
            return Err(Error::unprocessable(
                "Current droplet cannot be removed. Replace it with a preferred droplet.",
            )
            .into());
        }
        data => data.and_then(|data| data.get("guid")?.as_str().map(DropletGuid::from)),
    };
    let droplet = droplet.unwrap_or_else(|| DropletGuid::from(""));
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &app.space_guid)?;
        if model::apps::deploying(tx, &guid)? {
            return Err(Error::unprocessable(
                "Unable to assign current droplet while the app has a deployment in progress. \
                     Wait for the deployment to complete or cancel it.",
            ));
        }
        flows::running::assign_droplet(tx, &may, app, &droplet)?;
        Ok(Json(presenter::current_droplet(&guid, &droplet, &ctx.urls)))
    })
    .await
}

pub(super) async fn show_permissions(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let sensitive = ctx.caller.sees_secrets(tx, &app.space_guid)?;
        Ok(Json(
            json!({ "read_basic_data": true, "read_sensitive_data": sensitive }),
        ))
    })
    .await
}
