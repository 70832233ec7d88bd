//! Development sessions: an app whose files `cflite dev` changes in its containers.
//!
//! While an app has a session, each start puts its processes under a supervisor
//! (`images/lifecycle/dev`): it restarts the command without the container, and keeps the container
//! when the command ends. A session begins and ends with a restart, so afterwards the app runs its
//! droplet again, whatever was changed.

use std::time::Duration;

use crate::base::Timestamp;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::flows::running;
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::{App, AppState, LifecycleType};
use crate::cloud_controller::permits::MaySupport;
use crate::db::WriteTx;

/// How long a session lasts that nobody keeps.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(20);

/// Begins a session, which restarts the app, or keeps the one there is.
pub(crate) fn keep(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    snapshots: &Snapshots,
    app: App,
) -> Result<()> {
    may.covers(&app.space_guid)?;
    let begins = !model::development_sessions::exists(tx, &app.guid)?;
    if begins && app.lifecycle.kind != LifecycleType::Buildpack {
        return Err(Error::unprocessable(
            "Only an app that was staged with buildpacks can be developed in place.",
        ));
    }
    if begins && app.state != AppState::Started {
        return Err(Error::unprocessable(
            "Start the app before developing it in place.",
        ));
    }
    model::development_sessions::keep(tx, &app.guid, may.now)?;
    if begins {
        running::restart(tx, may, snapshots, app)?;
    }
    Ok(())
}

/// Ends a session, if there is one: a started app goes back to its droplet.
pub(crate) fn end(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    snapshots: &Snapshots,
    app: App,
) -> Result<()> {
    may.covers(&app.space_guid)?;
    let ended = model::development_sessions::delete(tx, &app.guid)?;
    if ended && app.state == AppState::Started {
        running::restart(tx, may, snapshots, app)?;
    }
    Ok(())
}

/// When a session ends that was kept last at this time.
pub(crate) fn expiry(seen_at: Timestamp) -> Timestamp {
    seen_at.plus(KEPT_FOR)
}
