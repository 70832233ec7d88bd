//! `/cflite/apps/:guid/development_session`: cflite's own endpoint for `cflite dev`.
//!
//! `PUT` begins a session or keeps it for [`flows::development::KEPT_FOR`]; `DELETE` ends it. Both
//! need the rights of who may change the app.

use axum::extract::Path;
use axum::routing::put;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use crate::base::guid::AppGuid;
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context};
use crate::cloud_controller::{flows, model};

/// `/cflite/apps/:guid/development_session`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new().route(
        "/cflite/apps/{guid}/development_session",
        put(keep).delete(end),
    )
}

async fn keep(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let snapshots = Snapshots::of(&ctx.cc);
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?.into();
        flows::development::keep(tx, &may, &snapshots, app)?;
        let seconds = flows::development::KEPT_FOR.as_secs();
        Ok(Json(
            json!({ "app": { "guid": guid }, "kept_for_in_seconds": seconds }),
        ))
    })
    .await
}

async fn end(ctx: Context, Path(guid): Path<AppGuid>) -> ApiResult<StatusCode> {
    let snapshots = Snapshots::of(&ctx.cc);
    ctx.write(move |tx, ctx| {
        let app = model::apps::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &app.space_guid)?.into();
        flows::development::end(tx, &may, &snapshots, app)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
