//! What can be done to droplets, each inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DropletGuid, JobGuid};
use crate::blobs::Digest;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::apps::{App, LifecycleType};
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::droplets::Droplet;
use crate::cloud_controller::model::droplets::DropletState;
use crate::cloud_controller::model::jobs::Work;
use crate::cloud_controller::payload::droplets::CreateDroplet;
use crate::cloud_controller::permits::{MayAdminister, MayDownloadDroplets, MayWrite};
use crate::cloud_controller::{actions, model};
use crate::db::WriteTx;

/// Droplets kept per app besides the current one.
const KEPT: i64 = 5;

/// Gives up the files of droplets that are unlikely to be used again; their rows stay, as `EXPIRED`.
pub(crate) fn expire(tx: &WriteTx<'_>, app: &AppGuid, now: Timestamp) -> Result<()> {
    for guid in model::droplets::surplus(tx, app, KEPT)? {
        model::droplets::expire(tx, &guid, now)?;
    }
    Ok(())
}

/// Makes a droplet that waits for its files.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    app: &App,
    wanted: &CreateDroplet,
) -> Result<Droplet> {
    may.covers(&app.space_guid)?;
    if app.lifecycle.kind != LifecycleType::Buildpack {
        return Err(Error::unprocessable(format!(
            "Droplet creation is not available for apps with {} lifecycles.",
            app.lifecycle.kind.as_str()
        )));
    }
    let guid = DropletGuid::generate(&may.guids);
    model::droplets::insert_empty(tx, &guid, &app.guid, &wanted.process_types, may.now)?;
    let droplet = model::droplets::get(tx, &guid)?;
    record(tx, may, "audit.app.droplet.create", &droplet, json!({}))?;
    Ok(droplet)
}

/// Makes a droplet of `app` with the files of `source`; both share one image.
pub(crate) fn copy(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    source: &Droplet,
    app: &App,
) -> Result<Droplet> {
    may.covers(&app.space_guid)?;
    if source.state != DropletState::Staged {
        return Err(Error::unprocessable("source droplet is not staged"));
    }
    if source.lifecycle_type != app.lifecycle.kind.as_str() {
        return Err(Error::unprocessable(
            "source and destination lifecycle types do not match",
        ));
    }
    let guid = DropletGuid::generate(&may.guids);
    model::droplets::insert_copy(tx, source, &guid, &app.guid, may.now)?;
    let droplet = model::droplets::get(tx, &guid)?;
    let data = json!({ "request": { "source_droplet_guid": source.guid } });
    record(tx, may, "audit.app.droplet.create", &droplet, data)?;
    Ok(droplet)
}

/// Takes an archive for a droplet: a worker makes the image of it. 422 for whoever comes second.
pub(crate) fn begin_upload(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    droplet: &Droplet,
    archive: &Digest,
) -> Result<JobGuid> {
    may.covers(&droplet.space_guid)?;
    let work = Work {
        operation: "droplet.upload",
        resource: droplet.guid.as_str(),
    };
    let job = actions::jobs::enqueue(tx, work, &json!({}), may.now, &may.guids)?;
    if !model::droplets::begin_upload(tx, &droplet.guid, archive, &job, may.now)? {
        return Err(only_once());
    }
    record(tx, may, "audit.app.droplet.upload", droplet, json!({}))?;
    Ok(job)
}

/// 422: a droplet takes files once.
pub(crate) fn only_once() -> Error {
    Error::unprocessable("Droplet may be uploaded only once. Create a new droplet to upload bits.")
}

/// Changes the image of a Docker droplet.
pub(crate) fn set_image(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    droplet: &Droplet,
    image: Option<&str>,
) -> Result<()> {
    if droplet.state != DropletState::Staged {
        return Err(Error::unprocessable(
            "Droplet image can only be updated on staged droplets",
        ));
    }
    if droplet.lifecycle_type != "docker" {
        return Err(Error::unprocessable(
            "Images can only be updated for docker droplets",
        ));
    }
    model::droplets::set_image(tx, &droplet.guid, image, may.now)
}

/// Changes metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    droplet: &Droplet,
    metadata: &MetadataChange,
) -> Result<Droplet> {
    may.covers(&droplet.space_guid)?;
    metadata.store(tx, ResourceType::Droplet, droplet.guid.as_str())?;
    model::droplets::get(tx, &droplet.guid)
}

/// Deletes a droplet; not the one its app runs.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayWrite, droplet: &Droplet) -> Result<()> {
    may.covers(&droplet.space_guid)?;
    if droplet.current {
        return Err(Error::unprocessable(format!(
            "The droplet is currently used by app with guid \"{}\".",
            droplet.app_guid
        )));
    }
    model::droplets::delete(tx, &droplet.guid)?;
    record(tx, may, "audit.app.droplet.delete", droplet, json!({}))
}

/// Writes that a droplet was downloaded.
pub(crate) fn record_download(
    tx: &WriteTx<'_>,
    may: &MayDownloadDroplets,
    droplet: &Droplet,
) -> Result<()> {
    may.covers(&droplet.space_guid)?;
    record(tx, may, "audit.app.droplet.download", droplet, json!({}))
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    droplet: &Droplet,
    mut data: Value,
) -> Result<()> {
    data["droplet_guid"] = json!(droplet.guid);
    let target = Target {
        guid: droplet.app_guid.as_str(),
        kind: "app",
        name: &droplet.app_name,
    };
    recorder.record(tx, kind, &target, Place::space(&droplet.space_guid), &data)
}
