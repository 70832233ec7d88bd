//! Jobs: `/v3/jobs/:guid`, where clients wait for what takes long.
//!
//! Work that one transaction does (deletes, manifests) is finished when it is answered: its job is
//! stored as `COMPLETE` and the client's first poll sees that. Longer work stores its job as
//! `PROCESSING` with all a worker needs to do or resume it.

mod store;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use store::{Job, JobState};

use super::CloudController;
use super::v3::{ApiError, ApiResult, Context, Urls};
use crate::base::guid::JobGuid;
use crate::base::{GuidSource, Timestamp};
use crate::db::{Db, WriteTx};

/// How long clients can ask for a job.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// `/v3/jobs`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new().route("/v3/jobs/{guid}", get(show))
}

/// A job that is over when it is stored.
pub(crate) struct Finished<'a> {
    /// `<resource type>.<deed>`, e.g. `buildpack.upload`.
    pub operation: &'a str,
    /// Guid of the resource; empty when it is gone.
    pub resource: &'a str,
    /// How it went.
    pub result: ApiResult<()>,
}

/// Stores a finished job.
pub(crate) fn record(
    tx: &WriteTx<'_>,
    job: Finished<'_>,
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<JobGuid> {
    let guid = JobGuid::generate(guids);
    let state = ended(job.result);
    let about = (job.operation, job.resource);
    store::insert(tx, &guid, about, &state, &json!({}), now)?;
    Ok(guid)
}

/// Stores a job that went well and whose resource is gone, e.g. `app.delete`.
pub(crate) fn record_complete(
    tx: &WriteTx<'_>,
    operation: &str,
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<JobGuid> {
    let job = Finished {
        operation,
        resource: "",
        result: Ok(()),
    };
    record(tx, job, now, guids)
}

/// Stores a job that a worker will do.
pub(crate) fn enqueue(
    tx: &WriteTx<'_>,
    (operation, resource): (&str, &str),
    payload: &Value,
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<JobGuid> {
    let guid = JobGuid::generate(guids);
    let about = (operation, resource);
    store::insert(tx, &guid, about, &JobState::Processing, payload, now)?;
    Ok(guid)
}

/// Ends a job; with errors it has failed.
pub(crate) fn finish(
    tx: &WriteTx<'_>,
    guid: &JobGuid,
    result: Result<(), ApiError>,
    now: Timestamp,
) -> ApiResult<()> {
    store::finish(tx, guid, &ended(result), now)
}

fn ended(result: ApiResult<()>) -> JobState {
    match result {
        Ok(()) => JobState::Complete,
        Err(error) => JobState::Failed(error.entries()),
    }
}

/// Forgets the jobs of long ago.
pub async fn remove_old(db: &Db, now: Timestamp) -> Result<(), ApiError> {
    let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(now.as_micros().saturating_sub(kept));
    db.write_without_wake(move |tx| store::remove_before(tx, before))
        .await
}

/// Waits until a job is over, but not longer than `limit`.
pub(crate) async fn wait_for(
    cc: &CloudController,
    guid: &JobGuid,
    limit: Duration,
) -> ApiResult<()> {
    let mut changes = cc.db().changes();
    let over = async {
        loop {
            changes.mark_unchanged();
            let guid = guid.clone();
            let job = cc.db().read(move |tx| store::find(tx, &guid)).await?;
            let waits = job.is_some_and(|job| job.state == JobState::Processing);
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

/// The job's absolute URL.
pub(crate) fn url(guid: &JobGuid, urls: &Urls) -> String {
    urls.to(&format!("/v3/jobs/{guid}"))
}

/// 202 with the job's absolute URL.
pub(crate) fn accepted(guid: &JobGuid, urls: &Urls) -> Response {
    let location = [(http::header::LOCATION, url(guid, urls))];
    (StatusCode::ACCEPTED, location).into_response()
}

async fn show(
    State(cc): State<CloudController>,
    ctx: Context,
    Path(guid): Path<JobGuid>,
) -> ApiResult<Json<Value>> {
    let urls = ctx.urls;
    cc.db()
        .read(move |tx| {
            let job = store::find(tx, &guid)?.ok_or_else(|| ApiError::not_found("Job"))?;
            let exists = store::resource_exists(tx, &job)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_that_are_over_are_forgotten_after_90_days() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let guids = GuidSource::counted();
        let day = 86_400_000_000;
        let at = move |days: i64| Timestamp::from_micros(days * day);
        let made = db.write(move |tx| {
            let old = record_complete(tx, "app.delete", at(1), &guids)?;
            let waiting = enqueue(tx, ("droplet.upload", "d"), &json!({}), at(1), &guids)?;
            let young = record_complete(tx, "app.delete", at(2), &guids)?;
            ApiResult::Ok([old, waiting, young])
        });
        let made = made.await.expect("stored");
        remove_old(&db, at(92)).await.expect("removed");
        let left = db.read(move |tx| {
            let there = |guid| ApiResult::Ok(store::find(tx, guid)?.is_some());
            made.iter().map(there).collect::<ApiResult<Vec<bool>>>()
        });
        assert_eq!(left.await.expect("read"), [false, true, true]);
    }
}
