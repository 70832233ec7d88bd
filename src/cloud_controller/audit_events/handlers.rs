//! Reading audit events.

use axum::Json;
use axum::extract::{Path, RawQuery};
use serde_json::Value;

use super::{presenter, store};
use crate::cloud_controller::v3::{ApiError, ApiResult, Context, ListBody, ListQuery, ListRules};

const LIST: ListRules =
    ListRules::new(&["types", "target_guids", "space_guids", "organization_guids"])
        .without_labels()
        .extras(&["target_guids[not]"]);

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let events = store::list_visible(tx, &caller, &query)?;
            Ok(Json(events.present(
                &query,
                &urls,
                "/v3/audit_events",
                |e| presenter::present(e, &urls),
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
            let event = store::find_visible(tx, &caller, &guid)?
                .ok_or_else(|| ApiError::not_found("Event"))?;
            Ok(Json(presenter::present(&event, &urls)))
        })
        .await
}
