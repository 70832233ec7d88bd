//! Waiting for what the API does in the background.

use std::time::Duration;

use serde::Deserialize;

use super::{Api, ApiFault, Failure, Reply};

/// How long a page waits; what takes longer goes on without it.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct Job {
    state: String,
    #[serde(default)]
    errors: Vec<ApiFault>,
}

/// How a job went while the page waited. What is told about it depends on it.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Progress {
    /// It ended well, or there was none.
    Done,
    /// It goes on.
    GoesOn,
}

impl Progress {
    /// What to tell: that it is done, or that it goes on.
    pub(in crate::web) fn told(self, done: &str, goes_on: &str) -> String {
        match self {
            Self::Done => done.to_owned(),
            Self::GoesOn => goes_on.to_owned(),
        }
    }

    /// `shop is deleted`, or `shop is being deleted`.
    pub(in crate::web) fn deleted(self, what: &str) -> String {
        format!("{what} is {}", self.told("deleted", "being deleted"))
    }
}

impl Api {
    /// Waits for the job of an answer. Its errors are those of the action.
    pub(in crate::web) async fn finish(&self, reply: &Reply) -> Result<Progress, Failure> {
        let job = reply.location.as_deref().and_then(job_path);
        let Some(path) = job else {
            return Ok(Progress::Done);
        };
        let begin = tokio::time::Instant::now();
        while begin.elapsed() < PATIENCE {
            let job: Job = self.get(path).await?;
            match job.state.as_str() {
                "COMPLETE" => return Ok(Progress::Done),
                "FAILED" => {
                    return Err(Failure::Api {
                        status: http::StatusCode::UNPROCESSABLE_ENTITY,
                        errors: job.errors,
                    });
                }
                // A broker's work takes its time, and the page of the service shows it.
                "POLLING" => return Ok(Progress::GoesOn),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        Ok(Progress::GoesOn)
    }
}

impl Api {
    /// The guid of what a job is about: `kind` is its name among the job's links.
    pub(in crate::web) async fn subject(
        &self,
        reply: &Reply,
        kind: &str,
    ) -> Result<String, Failure> {
        let path = reply.location.as_deref().and_then(job_path);
        let path = path.ok_or_else(|| Failure::Internal("an answer without a job".to_owned()))?;
        let job: serde_json::Value = self.get(path).await?;
        let link = job["links"][kind]["href"].as_str().unwrap_or_default();
        match link.rsplit_once('/') {
            Some((_, guid)) if !guid.is_empty() => Ok(guid.to_owned()),
            _ => Err(Failure::Internal(format!(
                "{path} does not tell its {kind}"
            ))),
        }
    }
}

/// The path of a job's address.
fn job_path(location: &str) -> Option<&str> {
    let at = location.find("/v3/jobs/")?;
    Some(&location[at..])
}
