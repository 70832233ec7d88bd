//! Reading audit events.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::Value;

use super::presenter;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model;
use crate::cloud_controller::query::{ListQuery, ListRules};
use crate::cloud_controller::v3::{ApiResult, Context, ListBody};

const LIST: ListRules =
    ListRules::new(&["types", "target_guids", "space_guids", "organization_guids"])
        .without_labels()
        .extras(&["target_guids[not]"]);

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    ctx.read(move |tx, ctx| {
        let events = model::audit_events::list_visible(tx, &ctx.caller, &query)?;
        Ok(Json(events.present(
            &query,
            &ctx.urls,
            "/v3/audit_events",
            |e| presenter::present(e, &ctx.urls),
        )?))
    })
    .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<String>) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let event = model::audit_events::find_visible(tx, &ctx.caller, &guid)?
            .ok_or_else(|| Error::not_found("Event"))?;
        Ok(Json(presenter::present(&event, &ctx.urls)))
    })
    .await
}
