//! Jobs are stored: over already, or for a worker to do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::guid::JobGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::jobs::JobState;
use crate::db::{Db, WriteTx};

/// How long clients can ask for a job.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Stores a job that went well and whose resource is gone, e.g. `app.delete`.
pub(crate) fn record_complete(
    tx: &WriteTx<'_>,
    operation: &str,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<JobGuid> {
    let guid = JobGuid::generate(guids);
    model::jobs::insert(
        tx,
        &guid,
        (operation, ""),
        &JobState::Complete,
        &json!({}),
        now,
    )?;
    Ok(guid)
}

/// Stores a job that a worker will do.
pub(crate) fn enqueue(
    tx: &WriteTx<'_>,
    (operation, resource): (&str, &str),
    payload: &Value,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<JobGuid> {
    let guid = JobGuid::generate(guids);
    let about = (operation, resource);
    model::jobs::insert(tx, &guid, about, &JobState::Processing, payload, now)?;
    Ok(guid)
}

/// Forgets the jobs of long ago.
pub(crate) async fn remove_old(db: &Db, now: Timestamp) -> Result<(), Error> {
    let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(now.as_micros().saturating_sub(kept));
    db.write_without_wake(move |tx| model::jobs::remove_before(tx, before))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_controller::model;

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
            Ok::<_, Error>([old, waiting, young])
        });
        let made = made.await.expect("stored");
        remove_old(&db, at(92)).await.expect("removed");
        let left = db.read(move |tx| {
            let there = |guid| Ok::<_, Error>(model::jobs::find(tx, guid)?.is_some());
            made.iter().map(there).collect::<Result<Vec<bool>>>()
        });
        assert_eq!(left.await.expect("read"), [false, true, true]);
    }
}
