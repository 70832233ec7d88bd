//! Feature flags: switches of the whole platform. Only overrides are stored; names and defaults
//! are CC's (`app/models/runtime/feature_flag.rb`).

use axum::extract::{Path, RawQuery};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::cloud_controller::actions::feature_flags::{DEFAULTS, FlagChange, find, unchanged};
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::feature_flags::FeatureFlag;
use crate::cloud_controller::query::{ListQuery, ListRules};
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls};
use crate::cloud_controller::{actions, model, query};

/// Characters.
const LONGEST_MESSAGE: usize = 250;

/// `/v3/feature_flags`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/feature_flags", get(list))
        .route("/v3/feature_flags/{name}", get(show).patch(update))
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
    ctx.read(move |tx, ctx| {
        let changed = model::feature_flags::list(tx, &query)?;
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
        let page = query::Listed::slice(flags, &query);
        Ok(Json(page.present(
            &query,
            &ctx.urls,
            "/v3/feature_flags",
            |flag| present(flag, &ctx.urls),
        )?))
    })
    .await
}

async fn show(ctx: Context, Path(name): Path<String>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let flag = find(tx, &name)?.ok_or_else(|| Error::not_found("Feature flag"))?;
        Ok(Json(present(&flag, &ctx.urls)))
    })
    .await
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
    ctx.write(move |tx, ctx| {
        let flag = find(tx, &name)?.ok_or_else(|| Error::not_found("Feature flag"))?;
        let may = ctx.may_administer()?;
        let flag = actions::feature_flags::update(tx, &may, flag, change)?;
        Ok(Json(present(&flag, &ctx.urls)))
    })
    .await
}
