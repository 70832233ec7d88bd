//! What can be done to droplets, each inside the caller's transaction.

use serde_json::{Value, json};

use super::payload::{CreateDroplet, DropletChange};
use super::store::{self, Droplet};
use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DropletGuid, JobGuid};
use crate::blobs::Digest;
use crate::cloud_controller::apps::{App, LifecycleType};
use crate::cloud_controller::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::jobs;
use crate::cloud_controller::v3::{ApiError, ApiResult, ResourceType};
use crate::db::WriteTx;

/// Droplets kept per app besides the current one.
const KEPT: i64 = 5;

/// Lets go of the files of droplets nobody is likely to go back to; they stay as `EXPIRED`.
pub(crate) fn expire(tx: &WriteTx<'_>, app: &AppGuid, now: Timestamp) -> ApiResult<()> {
    for guid in store::surplus(tx, app, KEPT)? {
        store::expire(tx, &guid, now)?;
    }
    Ok(())
}

/// Makes a droplet that waits for its files.
pub(super) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    app: &App,
    wanted: &CreateDroplet,
) -> ApiResult<Droplet> {
    if app.lifecycle.kind != LifecycleType::Buildpack {
        return Err(ApiError::unprocessable(
            "Droplet creation is not available for apps with docker lifecycles.",
        ));
    }
    let guid = DropletGuid::generate(&recorder.guids);
    store::insert_empty(tx, (&guid, &app.guid), &wanted.process_types, recorder.now)?;
    let droplet = store::get(tx, &guid)?;
    record(
        tx,
        recorder,
        "audit.app.droplet.create",
        &droplet,
        json!({}),
    )?;
    Ok(droplet)
}

/// Makes a droplet of `app` with the files of `source`; both share one image.
pub(super) fn copy(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    source: &Droplet,
    app: &App,
) -> ApiResult<Droplet> {
    if source.state != "STAGED" {
        return Err(ApiError::unprocessable("source droplet is not staged"));
    }
    if source.lifecycle_type != app.lifecycle.kind.as_str() {
        return Err(ApiError::unprocessable(
            "source and destination lifecycle types do not match",
        ));
    }
    let guid = DropletGuid::generate(&recorder.guids);
    store::insert_copy(tx, source, (&guid, &app.guid), recorder.now)?;
    let droplet = store::get(tx, &guid)?;
    let data = json!({ "request": { "source_droplet_guid": source.guid } });
    record(tx, recorder, "audit.app.droplet.create", &droplet, data)?;
    Ok(droplet)
}

/// Takes an archive for a droplet: a worker makes the image of it. 422 for whoever comes second.
pub(super) fn begin_upload(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    droplet: &Droplet,
    archive: &Digest,
) -> ApiResult<JobGuid> {
    let job = jobs::enqueue(
        tx,
        ("droplet.upload", droplet.guid.as_str()),
        &json!({}),
        recorder.now,
        &recorder.guids,
    )?;
    if !store::begin_upload(tx, &droplet.guid, archive, &job, recorder.now)? {
        return Err(only_once());
    }
    record(tx, recorder, "audit.app.droplet.upload", droplet, json!({}))?;
    Ok(job)
}

/// 422: a droplet takes files once.
pub(super) fn only_once() -> ApiError {
    ApiError::unprocessable(
        "Droplet may be uploaded only once. Create a new droplet to upload bits.",
    )
}

/// Changes metadata, or the image of a Docker droplet.
pub(super) fn update(
    tx: &WriteTx<'_>,
    droplet: &Droplet,
    change: &DropletChange,
    now: Timestamp,
) -> ApiResult<Droplet> {
    if let Some(image) = &change.image {
        if droplet.state != "STAGED" {
            return Err(ApiError::unprocessable(
                "Droplet image can only be updated on staged droplets",
            ));
        }
        if droplet.lifecycle_type != "docker" {
            return Err(ApiError::unprocessable(
                "Images can only be updated for docker droplets",
            ));
        }
        store::set_image(tx, &droplet.guid, image.as_deref(), now)?;
    }
    change
        .metadata
        .store(tx, ResourceType::Droplet, droplet.guid.as_str())?;
    store::get(tx, &droplet.guid)
}

/// Deletes a droplet; not the one its app runs.
pub(super) fn delete(tx: &WriteTx<'_>, recorder: &Recorder, droplet: &Droplet) -> ApiResult<()> {
    if droplet.current {
        return Err(ApiError::unprocessable(format!(
            "The droplet is currently used by app with guid \"{}\".",
            droplet.app_guid
        )));
    }
    store::delete(tx, &droplet.guid)?;
    record(tx, recorder, "audit.app.droplet.delete", droplet, json!({}))
}

/// Writes that a droplet was downloaded.
pub(super) fn record_download(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    droplet: &Droplet,
) -> ApiResult<()> {
    record(
        tx,
        recorder,
        "audit.app.droplet.download",
        droplet,
        json!({}),
    )
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    droplet: &Droplet,
    mut data: Value,
) -> ApiResult<()> {
    data["droplet_guid"] = json!(droplet.guid);
    let target = Target {
        guid: droplet.app_guid.as_str(),
        kind: "app",
        name: &droplet.app_name,
    };
    recorder.record(tx, kind, &target, Place::space(&droplet.space_guid), &data)
}
