//! Ends development sessions that nobody keeps any more: their `cflite dev` was killed, or lost the
//! platform.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::guid::AppGuid;
use crate::base::{Clock, GuidSource, Supervisor, Timestamp};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::flows::development;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Actor, Recorder};
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::state::CloudController;
use crate::db::Db;

/// Delay before the next pass after a failed one.
const RETRY: Duration = Duration::from_secs(5);

/// Ends sessions; cheap to clone.
#[derive(Clone)]
pub(crate) struct DevelopmentSessions {
    db: Db,
    clock: Arc<dyn Clock>,
    guids: GuidSource,
    snapshots: Snapshots,
}

impl DevelopmentSessions {
    /// A worker for this controller.
    pub(crate) fn new(cc: &CloudController, clock: Arc<dyn Clock>) -> Self {
        Self {
            db: cc.db().clone(),
            clock,
            guids: cc.guids().clone(),
            snapshots: Snapshots::of(cc),
        }
    }

    /// Starts the worker.
    pub(crate) fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("development sessions", move |token| this.clone().run(token));
    }

    /// Waits for the first session to expire; without one, for a change.
    async fn run(self, token: CancellationToken) -> Result<(), Infallible> {
        let mut changes = self.db.changes();
        loop {
            changes.borrow_and_update();
            let pause = match self.pass().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "cannot end development sessions; retrying");
                    Some(RETRY)
                }
            };
            let expires = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() {
                    return Ok(());
                },
                () = expires => {}
            }
        }
    }

    /// Ends a session that has expired; returns how long to wait for the next one.
    async fn pass(&self) -> Result<Option<Duration>> {
        let oldest = self.db.read(model::development_sessions::oldest);
        let Some((app, seen_at)) = oldest.await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        let expiry = development::expiry(seen_at);
        if now < expiry {
            return Ok(Some(expiry.since(now)));
        }
        let this = self.clone();
        self.db.write(move |tx| this.end(tx, &app, now)).await?;
        Ok(Some(Duration::ZERO))
    }

    fn end(&self, tx: &crate::db::WriteTx<'_>, app: &AppGuid, now: Timestamp) -> Result<()> {
        let Some(app) = model::apps::find(tx, app)? else {
            return Err(Error::internal("a development session without its app"));
        };
        let recorder = Recorder {
            actor: Actor {
                guid: app.guid.to_string(),
                kind: "system",
                name: "development".to_owned(),
            },
            now,
            guids: self.guids.clone(),
        };
        let may = MaySupport::of_platform(recorder, &app.space_guid);
        tracing::info!(app.guid = %app.guid, "development session expired");
        development::end(tx, &may, &self.snapshots, app)
    }
}
