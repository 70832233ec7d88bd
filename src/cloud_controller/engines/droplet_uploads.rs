//! Converts uploaded archives to droplets: one after the other, and each request gets one result.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::{Clock, Supervisor, Timestamp};
use crate::blobs::{Blob, Blobs, Digest, LayerError};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::droplets::Uploaded;
use crate::cloud_controller::{actions, model, v3};
use crate::db::{Db, WriteTx};
use crate::staging::DropletImages;

/// Largest unpacked size of a droplet.
const LARGEST: u64 = 4 << 30;
/// The longest time between two checks, in case a wake-up is lost.
const TICK: Duration = Duration::from_secs(30);
/// Delay after an upload that could not be processed: building its image is expensive.
const RETRY: Duration = Duration::from_secs(5);

/// The worker; cheap to clone.
#[derive(Clone)]
pub(crate) struct DropletUploads(Arc<Parts>);

struct Parts {
    db: Db,
    blobs: Blobs,
    images: DropletImages,
    clock: Arc<dyn Clock>,
}

impl DropletUploads {
    /// A worker that is not started yet.
    pub(crate) fn new(db: Db, blobs: Blobs, images: DropletImages, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Parts {
            db,
            blobs,
            images,
            clock,
        }))
    }

    /// Starts it.
    pub(crate) fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("droplet uploads", move |token| {
            let this = this.clone();
            async move { this.run(token).await }
        });
    }

    async fn run(&self, token: CancellationToken) -> Result<(), Error> {
        let mut changes = self.0.db.changes();
        loop {
            changes.mark_unchanged();
            let mut failed = false;
            for uploaded in self.0.db.read(model::droplets::all_uploaded).await? {
                let guid = uploaded.guid.clone();
                let done = tokio::select! {
                    () = token.cancelled() => return Ok(()),
                    done = self.process(uploaded) => done,
                };
                // One that cannot be processed does not delay the others.
                if let Err(error) = done {
                    tracing::error!(droplet.guid = %guid, %error, "cannot process droplet upload; retrying");
                    failed = true;
                }
            }
            let pause = if failed { RETRY } else { TICK };
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                changed = changes.changed(), if !failed => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn process(&self, uploaded: Uploaded) -> Result<()> {
        let converted = self.convert(&uploaded).await;
        let now = self.0.clock.now();
        self.0
            .db
            .write(move |tx| finish(tx, &uploaded, converted, now))
            .await
    }

    async fn convert(&self, uploaded: &Uploaded) -> Result<(Blob, Digest)> {
        let Parts { blobs, images, .. } = &*self.0;
        let archive = blobs.read(&uploaded.archive).await;
        let archive = archive.map_err(Error::internal)?;
        let archive = archive
            .ok_or_else(|| Error::internal(format!("blob {} is missing", uploaded.archive)))?;
        let layer = blobs
            .layer_from_tgz(archive, LARGEST)
            .await
            .map_err(refusal)?;
        let image = images.compose(&uploaded.guid, &uploaded.stack, &layer);
        let image = image
            .await
            .map_err(|error| Error::unprocessable(format!("Droplet not usable: {error}")))?;
        Ok((layer, image))
    }
}

/// Stores what became of an upload, which is the result of its job. What fails here is not: the
/// upload stays as it is and is processed again.
fn finish(
    tx: &WriteTx<'_>,
    uploaded: &Uploaded,
    converted: Result<(Blob, Digest)>,
    now: Timestamp,
) -> Result<()> {
    let result = match converted {
        Ok((layer, image)) => {
            model::droplets::set_staged(tx, uploaded, &layer, &image, now)?;
            actions::droplets::expire(tx, &uploaded.app_guid, now)?;
            Ok(())
        }
        Err(error) => {
            model::droplets::set_failed(tx, uploaded, error.detail(), now)?;
            Err(error)
        }
    };
    v3::jobs::finish(tx, &uploaded.job, result, now)
}

fn refusal(error: LayerError) -> Error {
    match error {
        LayerError::Blob(error) => Error::new(Kind::UnprocessableEntity, error.to_string()),
        other => Error::unprocessable(format!("Uploaded droplet file is invalid: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_controller::model::jobs::JobState;

    const ROWS: &str = "
        insert into organization_quotas (guid, name, created_at, updated_at) values ('q', 'q', 0, 0);
        insert into organizations (guid, name, quota_guid, created_at, updated_at) values ('o', 'o', 'q', 0, 0);
        insert into spaces (guid, name, organization_guid, created_at, updated_at) values ('s', 's', 'o', 0, 0);
        insert into apps (guid, name, space_guid, lifecycle_type, created_at, updated_at)
            values ('a', 'a', 's', 'buildpack', 0, 0);
        insert into blobs (digest, size, last_put_at) values
            ('sha256:0000000000000000000000000000000000000000000000000000000000000001', 1, 0);
        insert into jobs (guid, operation, state, payload, errors, created_at, updated_at, resource_guid)
            values ('j', 'droplet.upload', 'PROCESSING', '{}', '[]', 0, 0, 'd9');
        insert into droplets (guid, app_guid, state, lifecycle_type, created_at, updated_at) values
            ('d1', 'a', 'STAGED', 'buildpack', 1, 1), ('d2', 'a', 'STAGED', 'buildpack', 2, 2),
            ('d3', 'a', 'STAGED', 'buildpack', 3, 3), ('d4', 'a', 'STAGED', 'buildpack', 4, 4),
            ('d5', 'a', 'STAGED', 'buildpack', 5, 5), ('d9', 'a', 'PROCESSING_UPLOAD', 'buildpack', 9, 9);";

    #[tokio::test]
    async fn a_droplet_that_cannot_replace_an_old_one_is_no_failed_job() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let rows = db.write(|tx| Ok::<_, Error>(tx.sql().execute_batch(ROWS)?));
        rows.await.expect("rows");
        let digest = Digest::parse(&format!("sha256:{:064}", 1)).expect("a digest");
        let uploaded = Uploaded {
            guid: "d9".into(),
            app_guid: "a".into(),
            stack: String::new(),
            archive: digest.clone(),
            job: "j".into(),
        };
        let try_once = |broken: bool| {
            let (uploaded, digest) = (uploaded.clone(), digest.clone());
            move |tx: &WriteTx<'_>| {
                if broken {
                    tx.sql().execute_batch(
                        "create trigger broken before update on droplets when new.state = 'EXPIRED' \
                         begin select raise(abort, 'the disk is full'); end",
                    )?;
                }
                let layer = Blob {
                    digest: digest.clone(),
                    size: 1,
                };
                finish(
                    tx,
                    &uploaded,
                    Ok((layer, digest)),
                    Timestamp::from_micros(10),
                )
            }
        };
        let state = || db.read(|tx| model::jobs::find(tx, &"j".into()));
        let failed = db.write(try_once(true)).await;
        assert_eq!(failed.expect_err("fails").kind(), Kind::ServerError);
        let job = state().await.expect("read").expect("the job");
        assert_eq!(job.state, JobState::Processing);
        db.write(try_once(false)).await.expect("works again");
        let job = state().await.expect("read").expect("the job");
        assert_eq!(job.state, JobState::Complete);
    }
}
