//! Requests on app usage events.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::{Value, json};

use super::{actions, present, store};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Context, ListBody, ListQuery, ListRules, Listed,
};

const LIST: ListRules = ListRules::new(&[])
    .without_labels()
    .without_updates()
    .extras(&["after_guid"]);

/// A usage list's query: its faults are 422, and `after_guid` is one guid.
pub(crate) fn usage_query(query: Option<&str>, rules: &ListRules) -> ApiResult<ListQuery> {
    let query = ListQuery::parse(query, rules).map_err(ApiError::as_unprocessable)?;
    if query
        .values("after_guid")
        .is_some_and(|guids| guids.len() != 1)
    {
        return Err(ApiError::unprocessable(
            "After guid filter accepts only one guid",
        ));
    }
    Ok(query)
}

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = usage_query(query.as_deref(), &LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = if caller.sees_all() {
                store::list(tx, &query)?
            } else {
                Listed::slice(Vec::new(), &query)
            };
            Ok::<_, ApiError>(Json(found.present(
                &query,
                &urls,
                "/v3/app_usage_events",
                |event| present(event, &urls),
            )?))
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = if caller.sees_all() {
                store::find(tx, &guid)?
            } else {
                None
            };
            let event = found.ok_or_else(|| ApiError::not_found("App usage event"))?;
            Ok::<_, ApiError>(Json(present(&event, &urls)))
        })
        .await
}

pub(super) async fn reseed(ctx: Context) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, now, ..
    } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            caller.must_be_admin()?;
            actions::reseed(tx, now, &guids)?;
            Ok::<_, ApiError>(Json(json!({})))
        })
        .await
}
