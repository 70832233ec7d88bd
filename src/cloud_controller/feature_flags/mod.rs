//! Feature flags: switches of the whole platform. Only overrides are stored; names and defaults
//! are CC's (`app/models/runtime/feature_flag.rb`).

mod store;

use axum::extract::{Path, RawQuery};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::CloudController;
use super::v3::{
    ApiError, ApiResult, Body, Caller, Context, JsonBody, Kind, ListBody, ListQuery, ListRules,
    Urls,
};
use crate::base::Timestamp;
use crate::db::ReadTx;

const DEFAULTS: &[(&str, bool)] = &[
    ("app_bits_upload", true),
    ("app_scaling", true),
    ("diego_cnb", false),
    ("diego_docker", false),
    ("env_var_visibility", true),
    ("hash_based_routing", false),
    ("hide_marketplace_from_unauthenticated_users", false),
    ("private_domain_creation", true),
    ("resource_matching", true),
    ("route_creation", true),
    ("route_sharing", false),
    ("service_instance_creation", true),
    ("service_instance_sharing", false),
    ("set_roles_by_username", true),
    ("space_developer_env_var_visibility", true),
    ("space_scoped_private_broker_creation", true),
    ("task_creation", true),
    ("unset_roles_by_username", true),
    ("user_org_creation", false),
];

/// Characters.
const LONGEST_MESSAGE: usize = 250;

/// Flags that never stop an admin.
const NOT_FOR_ADMINS: &[&str] = &[
    "app_bits_upload",
    "app_scaling",
    "set_roles_by_username",
    "space_developer_env_var_visibility",
    "task_creation",
    "unset_roles_by_username",
];

/// `/v3/feature_flags`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/feature_flags", get(list))
        .route("/v3/feature_flags/{name}", get(show).patch(update))
}

/// A flag with its override, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct FeatureFlag {
    name: String,
    enabled: bool,
    custom_error_message: Option<String>,
    updated_at: Option<Timestamp>,
}

/// Whether a flag is on.
pub(crate) fn enabled(tx: &ReadTx<'_>, name: &str) -> ApiResult<bool> {
    Ok(find(tx, name)?.is_some_and(|flag| flag.enabled))
}

/// 403 `Feature Disabled: …` unless the flag is on or does not bind this caller.
pub(crate) fn require(tx: &ReadTx<'_>, caller: &Caller, name: &str) -> ApiResult<()> {
    if caller.is_admin() && NOT_FOR_ADMINS.contains(&name) {
        return Ok(());
    }
    if caller.sees_all_secrets() && name == "space_developer_env_var_visibility" {
        return Ok(());
    }
    match find(tx, name)? {
        Some(flag) if !flag.enabled => {
            let text = flag.custom_error_message.unwrap_or(flag.name);
            Err(ApiError::new(
                Kind::FeatureDisabled,
                format!("Feature Disabled: {text}"),
            ))
        }
        _ => Ok(()),
    }
}

fn find(tx: &ReadTx<'_>, name: &str) -> ApiResult<Option<FeatureFlag>> {
    let Some((name, default)) = DEFAULTS.iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    Ok(Some(
        store::find(tx, name)?.unwrap_or(unchanged(name, *default)),
    ))
}

fn unchanged(name: &str, enabled: bool) -> FeatureFlag {
    FeatureFlag {
        name: name.to_owned(),
        enabled,
        custom_error_message: None,
        updated_at: None,
    }
}

fn present(flag: &FeatureFlag, urls: &Urls) -> Value {
    json!({
        "name": flag.name,
        "enabled": flag.enabled,
        "updated_at": flag.updated_at,
        "custom_error_message": flag.custom_error_message,
        "links": { "self": urls.link(&format!("/v3/feature_flags/{}", flag.name)) },
    })
}

async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    const RULES: ListRules = ListRules::new(&[]).without_labels().order_by(&["name"]);
    let query = ListQuery::parse(query.as_deref(), &RULES)?;
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let changed = store::list(tx, &query)?;
            let find = |name: &str| changed.iter().find(|flag| flag.name == name).cloned();
            // A flag without an override has no time of change.
            let mut flags: Vec<FeatureFlag> = if query.filters_by_update() {
                DEFAULTS.iter().filter_map(|(name, _)| find(name)).collect()
            } else {
                let flag = |(name, on): &(&str, bool)| find(name).unwrap_or(unchanged(name, *on));
                DEFAULTS.iter().map(flag).collect()
            };
            if query.page.order.descending {
                flags.reverse();
            }
            let page = super::v3::Listed::slice(flags, &query);
            Ok::<_, ApiError>(Json(page.present(
                &query,
                &urls,
                "/v3/feature_flags",
                |flag| present(flag, &urls),
            )?))
        })
        .await
}

async fn show(ctx: Context, Path(name): Path<String>) -> ApiResult<Json<Value>> {
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let flag = find(tx, &name)?.ok_or_else(|| ApiError::not_found("Feature flag"))?;
            Ok::<_, ApiError>(Json(present(&flag, &urls)))
        })
        .await
}

/// What a body changes; `Some(None)` removes the message.
struct FlagChange {
    enabled: Option<bool>,
    custom_error_message: Option<Option<String>>,
}

fn payload(body: &mut Body) -> FlagChange {
    let enabled = body.fields.nullable("enabled").and_then(|value| {
        let enabled = value.as_bool();
        if enabled.is_none() {
            body.invalid.field("enabled", "must be a boolean");
        }
        enabled
    });
    let name = "custom_error_message";
    let custom_error_message = body.fields.nullable(name).and_then(|value| match value {
        Value::Null => Some(None),
        Value::String(text) if text.is_empty() => {
            let fault = "is too short (minimum is 1 character)";
            body.invalid.field(name, fault);
            None
        }
        Value::String(text) if text.chars().count() > LONGEST_MESSAGE => {
            let fault = format!("is too long (maximum is {LONGEST_MESSAGE} characters)");
            body.invalid.field(name, &fault);
            None
        }
        Value::String(text) => Some(Some(text)),
        _ => {
            body.invalid.field(name, "must be a string");
            None
        }
    });
    FlagChange {
        enabled,
        custom_error_message,
    }
}

async fn update(
    ctx: Context,
    Path(name): Path<String>,
    JsonBody(mut body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload(&mut body);
    body.finish()?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .write(move |tx| {
            let mut flag = find(tx, &name)?.ok_or_else(|| ApiError::not_found("Feature flag"))?;
            caller.must_be_admin()?;
            flag.enabled = change.enabled.unwrap_or(flag.enabled);
            flag.custom_error_message = change
                .custom_error_message
                .unwrap_or(flag.custom_error_message);
            flag.updated_at = Some(now);
            store::save(tx, &flag)?;
            Ok::<_, ApiError>(Json(present(&flag, &urls)))
        })
        .await
}
