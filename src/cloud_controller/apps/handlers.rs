//! Requests on apps.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::app::App;
use super::{actions, lifecycle, payload, presenter, store};
use crate::base::guid::{AppGuid, DropletGuid};
use crate::cloud_controller::audit_events::Cause;
use crate::cloud_controller::desired::Snapshots;
use crate::cloud_controller::stacks::StackUse;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, Included, JsonBody, ListBody, ListQuery, Metadata,
    ResourceType, Urls, Warnings, with_included,
};
use crate::cloud_controller::{feature_flags, jobs, organizations, spaces};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = list_query(query.as_deref())?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| page(tx, &caller, &query, ("/v3/apps", None), &urls).map(Json))
        .await
}

/// Checks the query of a list of apps.
pub(crate) fn list_query(query: Option<&str>) -> ApiResult<ListQuery> {
    let query = ListQuery::parse(query, &payload::LIST)?;
    payload::lifecycle_type(&query)?;
    Ok(query)
}

/// A page of the apps on one stack, listed at `path`.
pub(crate) fn list_on_stack(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    (stack, path): (&str, &str),
    urls: &Urls,
) -> ApiResult<ListBody> {
    page(tx, caller, query, (path, Some(stack)), urls)
}

fn page(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    (path, stack): (&str, Option<&str>),
    urls: &Urls,
) -> ApiResult<ListBody> {
    let lifecycle = payload::lifecycle_type(query)?;
    let found = store::list_visible(tx, caller, query, (lifecycle, stack))?;
    let guids = found.rows.iter().map(|app| app.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::App, guids)?;
    let body = found.present(query, urls, path, |app| {
        presenter::present(app, metadata.of(app.guid.as_str()), urls)
    })?;
    Ok(body.including(included(tx, urls, query, &found.rows)?))
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), payload::INCLUDES, &[])?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            let body = presenter::present_from(tx, &app, &urls)?;
            let included = included(tx, &urls, &query, &[app])?;
            Ok::<_, ApiError>(Json(with_included(body, included)))
        })
        .await
}

/// Who sees an app sees its space and organization.
fn included(tx: &ReadTx<'_>, urls: &Urls, query: &ListQuery, apps: &[App]) -> ApiResult<Included> {
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
    let found = spaces::store::by_guids(tx, &guids)?;
    let mut included = Vec::new();
    if with_space {
        let guids = found.iter().map(|space| space.guid.as_str());
        let metadata = Metadata::of_all(tx, ResourceType::Space, guids)?;
        let shown = found
            .iter()
            .map(|space| spaces::present(space, metadata.of(space.guid.as_str()), urls));
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
        let all = organizations::store::by_guids(tx, &guids)?;
        let shown = all.iter().map(|organization| {
            let metadata = metadata.of(organization.guid.as_str());
            organizations::present(organization, metadata, urls)
        });
        included.push(("organizations", shown.collect()));
    }
    Ok(included)
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Warnings, Json<Value>)> {
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let (vault, default_stack) = (cc.vault().clone(), cc.settings().default_stack.clone());
    cc.db()
        .write(move |tx| {
            if spaces::store::find_visible(tx, &caller, &wanted.space)?.is_none() {
                return Err(ApiError::unprocessable(
                    "Invalid space. Ensure that the space exists and you have access to it.",
                ));
            }
            caller.may_write_space(tx, &wanted.space)?;
            if let Some(flag) = wanted
                .lifecycle
                .kind
                .and_then(super::app::LifecycleType::feature_flag)
            {
                feature_flags::require(tx, &caller, flag)?;
            }
            let app = actions::create(tx, &recorder, &vault, wanted, &default_stack)?;
            let warning = match &app.lifecycle.stack {
                Some(stack) => lifecycle::stack_warning(tx, stack, StackUse::NewApp)?,
                None => None,
            };
            Ok((
                StatusCode::CREATED,
                Warnings::from_iter(warning),
                Json(presenter::present_from(tx, &app, &urls)?),
            ))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<(Warnings, Json<Value>)> {
    let change = payload::update(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let default_stack = cc.settings().default_stack.clone();
    cc.db()
        .write(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &app.space_guid)?;
            let warning = match change.lifecycle.stack.clone().flatten() {
                Some(stack) => {
                    let usage = lifecycle::usage_of(tx, &guid)?;
                    lifecycle::stack_warning(tx, &stack, usage)?
                }
                None => None,
            };
            let app = actions::update(tx, &recorder, app, change, &default_stack, Cause::Request)?;
            let shown = presenter::present_from(tx, &app, &urls)?;
            Ok((Warnings::from_iter(warning), Json(shown)))
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &app.space_guid)?;
            actions::delete(tx, &recorder, &app)?;
            let job = jobs::record_complete(tx, "app.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

/// What a start needs: visible, a droplet, the right, the feature flag.
fn startable(tx: &ReadTx<'_>, caller: &Caller, guid: &AppGuid) -> ApiResult<App> {
    let app = store::get_visible(tx, caller, guid)?;
    if app.current_droplet_guid.is_none() {
        return Err(ApiError::unprocessable(
            "Assign a droplet before starting this app.",
        ));
    }
    caller.may_support_space(tx, &app.space_guid)?;
    if let Some(flag) = app.lifecycle.kind.feature_flag() {
        feature_flags::require(tx, caller, flag)?;
    }
    Ok(app)
}

pub(super) async fn start(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let (recorder, snapshots) = (ctx.recorder(), Snapshots::of(&ctx.cc));
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let app = startable(tx, &caller, &guid)?;
            let app = actions::start(tx, &recorder, &snapshots, app)?;
            presenter::present_from(tx, &app, &urls).map(Json)
        })
        .await
}

pub(super) async fn restart(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let (recorder, snapshots) = (ctx.recorder(), Snapshots::of(&ctx.cc));
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let app = startable(tx, &caller, &guid)?;
            let app = actions::restart(tx, &recorder, &snapshots, app)?;
            presenter::present_from(tx, &app, &urls).map(Json)
        })
        .await
}

pub(super) async fn stop(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            caller.may_support_space(tx, &app.space_guid)?;
            let app = actions::stop(tx, &recorder, app)?;
            presenter::present_from(tx, &app, &urls).map(Json)
        })
        .await
}

pub(super) async fn clear_buildpack_cache(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Response> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            caller.may_support_space(tx, &app.space_guid)?;
            actions::clear_buildpack_cache(tx, &app)?;
            let job = jobs::record_complete(tx, "app.clear_buildpack_cache", now, &guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

/// What every app's staging kept, for admins who need the space.
pub(super) async fn clear_buildpack_caches(ctx: Context) -> ApiResult<Response> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            caller.must_be_admin()?;
            actions::clear_buildpack_caches(tx)?;
            let job = jobs::record_complete(tx, "admin.clear_buildpack_cache", now, &guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

pub(super) async fn show_current_droplet(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            let droplet = app
                .current_droplet_guid
                .ok_or_else(|| ApiError::not_found("Droplet"))?;
            Ok::<_, ApiError>(Json(presenter::current_droplet(&guid, &droplet, &urls)))
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
            return Err(ApiError::unprocessable(
                "Current droplet cannot be removed. Replace it with a preferred droplet.",
            ));
        }
        data => data.and_then(|data| data.get("guid")?.as_str().map(DropletGuid::from)),
    };
    let droplet = droplet.unwrap_or_else(|| DropletGuid::from(""));
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            caller.may_support_space(tx, &app.space_guid)?;
            if store::deploying(tx, &guid)? {
                return Err(ApiError::unprocessable(
                    "Unable to assign current droplet while the app has a deployment in progress. \
                     Wait for the deployment to complete or cancel it.",
                ));
            }
            actions::assign_droplet(tx, &recorder, app, &droplet)?;
            Ok(Json(presenter::current_droplet(&guid, &droplet, &urls)))
        })
        .await
}

pub(super) async fn show_permissions(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Json<Value>> {
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            let sensitive = caller.sees_secrets(tx, &app.space_guid)?;
            Ok::<_, ApiError>(Json(
                json!({ "read_basic_data": true, "read_sensitive_data": sensitive }),
            ))
        })
        .await
}
