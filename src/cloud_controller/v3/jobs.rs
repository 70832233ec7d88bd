//! The results of jobs, with errors as clients see them; and the responses that name a job.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::base::Timestamp;
use crate::base::guid::JobGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::jobs::{JobState, Work};
use crate::cloud_controller::v3::{Urls, entries};
use crate::db::WriteTx;

/// A job that is finished when it is stored.
pub(crate) struct Finished<'a> {
    /// What it did.
    pub work: Work<'a>,
    /// The result.
    pub result: Result<()>,
}

/// Stores a finished job.
pub(crate) fn record(tx: &WriteTx<'_>, job: Finished<'_>, by: &Recorder) -> Result<JobGuid> {
    let guid = JobGuid::generate(&by.guids);
    let state = ended(job.result);
    model::jobs::insert(tx, &guid, job.work, &state, &json!({}), by.now)?;
    Ok(guid)
}

/// Stores a job that went well and whose resource is gone, e.g. `app.delete`.
pub(crate) fn record_complete(tx: &WriteTx<'_>, operation: &str, by: &Recorder) -> Result<JobGuid> {
    let job = Finished {
        work: Work {
            operation,
            resource: "",
        },
        result: Ok(()),
    };
    record(tx, job, by)
}

/// Finishes a job; with errors it has failed.
pub(crate) fn finish(
    tx: &WriteTx<'_>,
    guid: &JobGuid,
    result: Result<()>,
    now: Timestamp,
) -> Result<()> {
    model::jobs::finish(tx, guid, &ended(result), now)
}

fn ended(result: Result<()>) -> JobState {
    match result {
        Ok(()) => JobState::Complete,
        Err(error) => JobState::Failed(entries(&error)),
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
