//! Jobs that a worker will do, and the end of old ones. Those that are over when they are stored
//! are made by `v3::jobs`, which knows errors as clients see them.

use std::time::Duration;

use serde_json::Value;

use crate::base::guid::JobGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::jobs::{JobState, Work};
use crate::db::WriteTx;

/// How long clients can ask for a job.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Stores a job that a worker will do.
pub(crate) fn enqueue(
    tx: &WriteTx<'_>,
    work: Work<'_>,
    payload: &Value,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<JobGuid> {
    let guid = JobGuid::generate(guids);
    model::jobs::insert(tx, &guid, work, &JobState::Processing, payload, now)?;
    Ok(guid)
}

/// Forgets the jobs of long ago.
pub(crate) fn remove_old(tx: &WriteTx<'_>, now: Timestamp) -> Result<()> {
    model::jobs::remove_before(tx, now.minus(KEPT))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cloud_controller::error::Error;
    use crate::db::Db;

    #[tokio::test]
    async fn jobs_that_are_over_are_forgotten_after_90_days() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let guids = GuidSource::counted();
        let day = 86_400_000_000;
        let at = move |days: i64| Timestamp::from_micros(days * day);
        let made = db.write(move |tx| {
            let complete = |now| {
                let guid = JobGuid::generate(&guids);
                let work = Work {
                    operation: "app.delete",
                    resource: "",
                };
                model::jobs::insert(tx, &guid, work, &JobState::Complete, &json!({}), now)?;
                Ok::<_, Error>(guid)
            };
            let old = complete(at(1))?;
            let upload = Work {
                operation: "droplet.upload",
                resource: "d",
            };
            let waiting = enqueue(tx, upload, &json!({}), at(1), &guids)?;
            let young = complete(at(2))?;
            Ok::<_, Error>([old, waiting, young])
        });
        let made = made.await.expect("stored");
        let removed = db.write(move |tx| remove_old(tx, at(92)));
        removed.await.expect("removed");
        let left = db.read(move |tx| {
            let there = |guid| Ok::<_, Error>(model::jobs::find(tx, guid)?.is_some());
            made.iter().map(there).collect::<Result<Vec<bool>>>()
        });
        assert_eq!(left.await.expect("read"), [false, true, true]);
    }
}
