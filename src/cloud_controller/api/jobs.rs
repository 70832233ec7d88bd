//! Jobs: `/v3/jobs/:guid`, where clients wait for what takes long.
//!
//! Work that one transaction does (deletes, manifests) is finished when it is answered: its job is
//! stored as `COMPLETE` and the client's first poll sees that. Longer work stores its job as
//! `PROCESSING` with all a worker needs to do or resume it.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::cloud_controller::error::Error;
use crate::cloud_controller::model;
use crate::cloud_controller::model::jobs::{Job, JobState};
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context, Urls};

use crate::base::guid::JobGuid;

/// `/v3/jobs`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new().route("/v3/jobs/{guid}", get(show))
}

/// Waits until a job is over or goes on elsewhere, but not longer than `limit`.
pub(crate) async fn wait_for(
    cc: &CloudController,
    guid: &JobGuid,
    limit: Duration,
) -> ApiResult<()> {
    let waits = |state: &JobState| *state == JobState::Processing;
    wait_while(cc, guid, limit, waits).await
}

/// Waits until a job is over, but not longer than `limit`.
pub(crate) async fn wait_for_end(
    cc: &CloudController,
    guid: &JobGuid,
    limit: Duration,
) -> ApiResult<()> {
    let waits = |state: &JobState| matches!(state, JobState::Processing | JobState::Polling);
    wait_while(cc, guid, limit, waits).await
}

async fn wait_while(
    cc: &CloudController,
    guid: &JobGuid,
    limit: Duration,
    waits: impl Fn(&JobState) -> bool,
) -> ApiResult<()> {
    let mut changes = cc.db().changes();
    let over = async {
        loop {
            changes.mark_unchanged();
            let guid = guid.clone();
            let job = cc.db().read(move |tx| model::jobs::find(tx, &guid)).await?;
            let waits = job.is_some_and(|job| waits(&job.state));
            if !waits || changes.changed().await.is_err() {
                return ApiResult::Ok(());
            }
        }
    };
    match tokio::time::timeout(limit, over).await {
        Ok(done) => done,
        Err(_) => Ok(()),
    }
}

async fn show(
    State(cc): State<CloudController>,
    ctx: Context,
    Path(guid): Path<JobGuid>,
) -> ApiResult<Json<Value>> {
    let urls = ctx.urls;
    cc.db()
        .read(move |tx| {
            let job = model::jobs::find(tx, &guid)?.ok_or_else(|| Error::not_found("Job"))?;
            let exists = model::jobs::resource_exists(tx, &job)?;
            Ok(Json(present(&job, exists, &urls)))
        })
        .await
}

/// A job links to its resource while that is there.
fn present(job: &Job, resource_exists: bool, urls: &Urls) -> Value {
    let (state, errors) = match &job.state {
        JobState::Processing => ("PROCESSING", json!([])),
        JobState::Polling => ("POLLING", json!([])),
        JobState::Complete => ("COMPLETE", json!([])),
        JobState::Failed(errors) => ("FAILED", errors.clone()),
    };
    let mut links = json!({ "self": urls.link(&format!("/v3/jobs/{}", job.guid)) });
    if resource_exists {
        let kind = job.resource_type();
        links[kind] = urls.link(&format!("/v3/{kind}s/{}", job.resource_guid));
    }
    json!({
        "guid": job.guid,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "operation": job.operation,
        "state": state,
        "errors": errors,
        "warnings": job.warnings,
        "links": links,
    })
}
