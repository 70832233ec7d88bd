//! Converts uploaded archives to droplets: one after the other, and each request gets one result.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::{Clock, Supervisor};
use crate::blobs::{Blob, Blobs, Digest, LayerError};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::droplets::Uploaded;
use crate::cloud_controller::{actions, model, v3};
use crate::db::Db;
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
            .write(move |tx| {
                let result = match converted {
                    Ok((layer, image)) => {
                        model::droplets::set_staged(tx, &uploaded, (&layer, &image), now)?;
                        actions::droplets::expire(tx, &uploaded.app_guid, now)
                    }
                    Err(error) => {
                        model::droplets::set_failed(tx, &uploaded, error.detail(), now)?;
                        Err(error)
                    }
                };
                v3::jobs::finish(tx, &uploaded.job, result, now)
            })
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

fn refusal(error: LayerError) -> Error {
    match error {
        LayerError::Blob(error) => Error::new(Kind::UnprocessableEntity, error.to_string()),
        other => Error::unprocessable(format!("Uploaded droplet file is invalid: {other}")),
    }
}
