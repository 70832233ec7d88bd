//! Requests on an app's environment and features.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::AppGuid;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::model::apps::Feature;
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody};
use crate::cloud_controller::{actions, flows, model, payload};

pub(super) async fn show_env(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let snapshots = Snapshots::of(&ctx.cc);
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
            actions::feature_flags::require(tx, &ctx.caller, "env_var_visibility")?;
            let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
            let may = ctx.may_read_environment(tx, &app.space_guid)?;
            actions::feature_flags::require(tx, &ctx.caller, "space_developer_env_var_visibility")?;
            actions::apps::record_read(tx, &may, "audit.app.environment.show", &app)?;
            let system = if ctx.caller.sees_secrets(tx, &app.space_guid)? {
                flows::desired::services::system_environment(tx, &vault, &app)?
            } else {
                json!({ "redacted_message": "[PRIVATE DATA HIDDEN]" })
            };
            let group = |name| model::environment_variable_groups::load(tx, &vault, name).map(|(group, _)| group);
            Ok(Json(json!({
                "environment_variables": model::apps::environment(tx, &vault, &guid)?,
                "staging_env_json": group("staging")?,
                "running_env_json": group("running")?,
                "system_env_json": system,
                "application_env_json": { "VCAP_APPLICATION": snapshots.vcap_application_of_app(tx, &app)? },
            })))
        })
        .await
}

pub(super) async fn show_variables(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Json<Value>> {
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        actions::feature_flags::require(tx, &ctx.caller, "env_var_visibility")?;
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_read_environment(tx, &app.space_guid)?;
        actions::feature_flags::require(tx, &ctx.caller, "space_developer_env_var_visibility")?;
        let kind = "audit.app.environment_variables.show";
        actions::apps::record_read(tx, &may, kind, &app)?;
        let variables = model::apps::environment(tx, &vault, &guid)?;
        Ok(Json(presenter::variables(&guid, &variables, &ctx.urls)))
    })
    .await
}

pub(super) async fn update_variables(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_support(tx, &app.space_guid)?;
        let change = payload::environment_variable_groups::environment_change(body)?;
        let variables =
            actions::apps::update_environment(tx, &may, &vault, app, change, Cause::Request)?;
        Ok(Json(presenter::variables(&guid, &variables, &ctx.urls)))
    })
    .await
}

pub(super) async fn list_features(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        Ok(Json(presenter::features(&guid, app.features, &ctx.urls)))
    })
    .await
}

pub(super) async fn show_feature(
    ctx: Context,
    Path((guid, name)): Path<(AppGuid, String)>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let feature = Feature::parse(&name).ok_or_else(|| Error::not_found("Feature"))?;
        Ok(Json(presenter::feature(app.features, feature)))
    })
    .await
}

pub(super) async fn update_feature(
    ctx: Context,
    Path((guid, name)): Path<(AppGuid, String)>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let feature = Feature::parse(&name).ok_or_else(|| Error::not_found("Feature"))?;
        let may = if feature == Feature::Revisions {
            ctx.may_support(tx, &app.space_guid)?
        } else {
            ctx.may_write(tx, &app.space_guid)?.into()
        };
        let enabled = payload::apps::feature(body)?;
        let app = actions::apps::set_feature(tx, &may, app, feature, enabled)?;
        Ok(Json(presenter::feature(app.features, feature)))
    })
    .await
}

pub(super) async fn ssh_enabled(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let space = model::spaces::find(tx, &app.space_guid)?;
        let space = space.ok_or_else(|| Error::not_found("App"))?;
        let is_on = ctx.cc.settings().on_board.ssh.is_some();
        let reason = actions::apps::ssh_refusal(is_on, &space, &app).unwrap_or_default();
        Ok(Json(
            json!({ "enabled": reason.is_empty(), "reason": reason }),
        ))
    })
    .await
}
