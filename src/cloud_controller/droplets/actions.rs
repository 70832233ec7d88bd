//! What can be done to droplets, each inside the caller's transaction.

use serde_json::{Value, json};

use super::store::{self, Droplet};
use crate::base::guid::AppGuid;
use crate::cloud_controller::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::v3::{ApiError, ApiResult};
use crate::db::WriteTx;

/// Droplets kept per app besides the current one.
const KEPT: i64 = 5;

/// Removes droplets nobody is likely to go back to.
pub(crate) fn prune(tx: &WriteTx<'_>, app: &AppGuid) -> ApiResult<()> {
    for guid in store::surplus(tx, app, KEPT)? {
        store::delete(tx, &guid)?;
    }
    Ok(())
}

/// Deletes a droplet; not the one its app runs.
pub(super) fn delete(tx: &WriteTx<'_>, recorder: &Recorder, droplet: &Droplet) -> ApiResult<()> {
    if droplet.current {
        return Err(ApiError::unprocessable(
            "The droplet is currently used by an app and cannot be deleted.",
        ));
    }
    store::delete(tx, &droplet.guid)?;
    record(tx, recorder, "audit.app.droplet.delete", droplet)
}

/// Writes that a droplet was downloaded.
pub(super) fn record_download(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    droplet: &Droplet,
) -> ApiResult<()> {
    record(tx, recorder, "audit.app.droplet.download", droplet)
}

fn record(tx: &WriteTx<'_>, recorder: &Recorder, kind: &str, droplet: &Droplet) -> ApiResult<()> {
    let data: Value = json!({ "droplet_guid": droplet.guid });
    let target = Target {
        guid: droplet.app_guid.as_str(),
        kind: "app",
        name: &droplet.app_name,
    };
    recorder.record(tx, kind, &target, Place::space(&droplet.space_guid), &data)
}
