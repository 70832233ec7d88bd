//! Requests on an app's environment and features.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::app::Feature;
use super::{actions, payload, presenter, store};
use crate::base::guid::AppGuid;
use crate::cloud_controller::audit_events::Cause;
use crate::cloud_controller::desired::Snapshots;
use crate::cloud_controller::v3::{ApiError, ApiResult, Context, JsonBody};
use crate::cloud_controller::{environment_variable_groups, feature_flags, spaces};

pub(super) async fn show_env(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let (recorder, snapshots) = (ctx.recorder(), Snapshots::of(&ctx.cc));
    let Context { cc, caller, .. } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .write(move |tx| {
            feature_flags::require(tx, &caller, "env_var_visibility")?;
            let app = store::get_visible(tx, &caller, &guid)?;
            caller.may_read_environment(tx, &app.space_guid)?;
            feature_flags::require(tx, &caller, "space_developer_env_var_visibility")?;
            actions::record(tx, &recorder, "audit.app.environment.show", &app, &json!({}))?;
            let system = if caller.sees_secrets(tx, &app.space_guid)? {
                json!({ "VCAP_SERVICES": {} })
            } else {
                json!({ "redacted_message": "[PRIVATE DATA HIDDEN]" })
            };
            let group = |name| environment_variable_groups::store::load(tx, &vault, name).map(|(group, _)| group);
            Ok::<_, ApiError>(Json(json!({
                "environment_variables": store::environment(tx, &vault, &guid)?,
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
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .write(move |tx| {
            feature_flags::require(tx, &caller, "env_var_visibility")?;
            let app = store::get_visible(tx, &caller, &guid)?;
            caller.may_read_environment(tx, &app.space_guid)?;
            feature_flags::require(tx, &caller, "space_developer_env_var_visibility")?;
            actions::record(
                tx,
                &recorder,
                "audit.app.environment_variables.show",
                &app,
                &json!({}),
            )?;
            let variables = store::environment(tx, &vault, &guid)?;
            Ok::<_, ApiError>(Json(presenter::variables(&guid, &variables, &urls)))
        })
        .await
}

pub(super) async fn update_variables(
    ctx: Context,
    Path(guid): Path<AppGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .write(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            caller.may_support_space(tx, &app.space_guid)?;
            let change = environment_variable_groups::environment_change(body)?;
            let variables =
                actions::update_environment(tx, &recorder, &vault, app, change, Cause::Request)?;
            Ok::<_, ApiError>(Json(presenter::variables(&guid, &variables, &urls)))
        })
        .await
}

pub(super) async fn list_features(
    ctx: Context,
    Path(guid): Path<AppGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            Ok::<_, ApiError>(Json(presenter::features(&guid, app.features, &urls)))
        })
        .await
}

pub(super) async fn show_feature(
    ctx: Context,
    Path((guid, name)): Path<(AppGuid, String)>,
) -> ApiResult<Json<Value>> {
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            let feature = Feature::parse(&name).ok_or_else(|| ApiError::not_found("Feature"))?;
            Ok::<_, ApiError>(Json(presenter::feature(app.features, feature)))
        })
        .await
}

pub(super) async fn update_feature(
    ctx: Context,
    Path((guid, name)): Path<(AppGuid, String)>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            let feature = Feature::parse(&name).ok_or_else(|| ApiError::not_found("Feature"))?;
            if feature == Feature::Revisions {
                caller.may_support_space(tx, &app.space_guid)?;
            } else {
                caller.may_write_space(tx, &app.space_guid)?;
            }
            let enabled = payload::feature(body)?;
            let app = actions::set_feature(tx, &recorder, app, feature, enabled)?;
            Ok::<_, ApiError>(Json(presenter::feature(app.features, feature)))
        })
        .await
}

pub(super) async fn ssh_enabled(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let app = store::get_visible(tx, &caller, &guid)?;
            let space = spaces::store::find(tx, &app.space_guid)?;
            let space = space.ok_or_else(|| ApiError::not_found("App"))?;
            let reason = if !space.ssh_allowed {
                format!("ssh is disabled for space '{}'", space.name)
            } else if !app.features.on(Feature::Ssh) {
                "ssh is disabled for app".to_owned()
            } else {
                String::new()
            };
            Ok::<_, ApiError>(Json(
                json!({ "enabled": reason.is_empty(), "reason": reason }),
            ))
        })
        .await
}
