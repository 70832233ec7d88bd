//! Requests on app usage events.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::{Value, json};

use crate::cloud_controller::api::app_usage_events::present;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::query::{ListQuery, ListRules, Listed};
use crate::cloud_controller::v3::{ApiResult, Context, ListBody};
use crate::cloud_controller::{actions, model};

const LIST: ListRules = ListRules::new(&[])
    .without_labels()
    .without_updates()
    .extras(&["after_guid"]);

/// A usage list's query: its faults are 422, and `after_guid` is one guid.
pub(crate) fn usage_query(query: Option<&str>, rules: &ListRules) -> Result<ListQuery> {
    let query = ListQuery::parse(query, rules).map_err(Error::as_unprocessable)?;
    if query
        .values("after_guid")
        .is_some_and(|guids| guids.len() != 1)
    {
        return Err(Error::unprocessable(
            "After guid filter accepts only one guid",
        ));
    }
    Ok(query)
}

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = usage_query(query.as_deref(), &LIST)?;
    ctx.read(move |tx, ctx| {
        let found = if ctx.caller.sees_all() {
            model::app_usage_events::list(tx, &query)?
        } else {
            Listed::slice(Vec::new(), &query)
        };
        Ok(Json(found.present(
            &query,
            &ctx.urls,
            "/v3/app_usage_events",
            |event| present(event, &ctx.urls),
        )?))
    })
    .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let found = if ctx.caller.sees_all() {
            model::app_usage_events::find(tx, &guid)?
        } else {
            None
        };
        let event = found.ok_or_else(|| Error::not_found("App usage event"))?;
        Ok(Json(present(&event, &ctx.urls)))
    })
    .await
}

pub(super) async fn reseed(ctx: Context) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        actions::app_usage_events::reseed(tx, &ctx.may_administer()?)?;
        Ok(Json(json!({})))
    })
    .await
}
