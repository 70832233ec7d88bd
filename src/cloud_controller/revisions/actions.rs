//! Writing revisions, inside the transaction that starts an app.

use serde_json::json;

use super::revision::{Content, Revision, RevisionSidecar, next_version, reasons};
use super::store;
use crate::base::guid::RevisionGuid;
use crate::cloud_controller::apps::{self, App, Feature};
use crate::cloud_controller::audit_events::Recorder;
use crate::cloud_controller::v3::{ApiError, ApiResult, MetadataChange, ResourceType};
use crate::cloud_controller::{processes, sidecars};
use crate::db::{ReadTx, Vault, WriteTx};

/// So many are kept of each app.
pub(super) const KEPT: i64 = 100;

/// The revision that an app which is started now runs under: the latest one, or a new one when
/// something differs. `None` when the app has no revisions.
pub(crate) fn of_start(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    vault: &Vault,
    app: &App,
) -> ApiResult<Option<Revision>> {
    let Some(next) = content(tx, vault, app)? else {
        return Ok(None);
    };
    let latest = store::latest(tx, &app.guid)?;
    let reasons = match &latest {
        None => vec!["Initial revision.".to_owned()],
        Some(latest) => reasons(&stored(tx, vault, latest)?, &next),
    };
    if reasons.is_empty() {
        return Ok(latest);
    }
    let version = next_version(latest.map(|latest| latest.version));
    add(tx, recorder, vault, app, (version, &reasons, next)).map(Some)
}

/// Makes an app as a revision was, which is a revision of its own. The app has its droplet already.
pub(crate) fn roll_back(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    vault: &Vault,
    app: &App,
    target: &Revision,
) -> ApiResult<()> {
    let environment = store::environment(tx, vault, &target.guid)?;
    apps::store::set_environment(tx, vault, &app.guid, &environment)?;
    sidecars::actions::restore(tx, recorder, app, &target.sidecars)?;
    for (kind, command) in &target.commands {
        if let Some(mut process) = processes::store::find_of_type(tx, &app.guid, kind)? {
            process.command.clone_from(command);
            process.updated_at = recorder.now;
            processes::store::update(tx, &process)?;
        }
    }
    let latest = store::latest(tx, &app.guid)?;
    let (Some(latest), Some(next)) = (latest, content(tx, vault, app)?) else {
        return Ok(());
    };
    let mut reasons = reasons(&stored(tx, vault, &latest)?, &next);
    if reasons.is_empty() {
        return Err(ApiError::unprocessable(
            "Unable to rollback. The code and configuration you are rolling back to is the same as the deployed revision.",
        ));
    }
    reasons.push(format!("Rolled back to revision {}.", target.version));
    let version = next_version(Some(latest.version));
    add(tx, recorder, vault, app, (version, &reasons, next)).map(drop)
}

fn add(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    vault: &Vault,
    app: &App,
    (version, reasons, next): (i64, &[String], Content),
) -> ApiResult<Revision> {
    let revision = Revision {
        guid: RevisionGuid::generate(&recorder.guids),
        app_guid: app.guid.clone(),
        version,
        droplet_guid: next.droplet_guid.clone(),
        commands: next.commands.clone(),
        sidecars: next.sidecars.clone(),
        description: reasons.join(" "),
        deployable: true,
        created_at: recorder.now,
        updated_at: recorder.now,
    };
    for surplus in store::surplus(tx, &app.guid, revision.version, KEPT - 1)? {
        store::delete(tx, &surplus)?;
    }
    store::insert(tx, vault, &revision, &next)?;
    record(tx, recorder, "audit.app.revision.create", app, &revision)?;
    Ok(revision)
}

/// The latest revision of an app that has revisions.
pub(crate) fn latest(tx: &ReadTx<'_>, app: &App) -> ApiResult<Option<Revision>> {
    if !app.features.on(Feature::Revisions) {
        return Ok(None);
    }
    store::latest(tx, &app.guid)
}

/// Changes metadata.
pub(super) fn update(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut revision: Revision,
    metadata: &MetadataChange,
) -> ApiResult<Revision> {
    metadata.store(tx, ResourceType::Revision, revision.guid.as_str())?;
    revision.updated_at = recorder.now;
    store::touch(tx, &revision.guid, recorder.now)?;
    Ok(revision)
}

/// Writes an event about an app's revision.
pub(super) fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    app: &App,
    revision: &Revision,
) -> ApiResult<()> {
    let data = json!({ "revision_guid": revision.guid, "revision_version": revision.version });
    apps::actions::record(tx, recorder, kind, app, &data)
}

/// What an app would run with now; `None` when it has no revisions or no droplet.
fn content(tx: &ReadTx<'_>, vault: &Vault, app: &App) -> ApiResult<Option<Content>> {
    let Some(droplet) = &app.current_droplet_guid else {
        return Ok(None);
    };
    if !app.features.on(Feature::Revisions) {
        return Ok(None);
    }
    let processes = processes::store::of_app(tx, &app.guid)?;
    let sidecars = sidecars::store::of_app(tx, &app.guid)?;
    Ok(Some(Content {
        droplet_guid: droplet.clone(),
        environment: apps::store::environment(tx, vault, &app.guid)?,
        commands: processes
            .into_iter()
            .map(|process| (process.kind, process.command))
            .collect(),
        sidecars: sidecars
            .into_iter()
            .map(|sidecar| RevisionSidecar {
                name: sidecar.name,
                command: sidecar.command,
                process_types: sidecar.process_types,
                memory_in_mb: sidecar.memory,
            })
            .collect(),
    }))
}

fn stored(tx: &ReadTx<'_>, vault: &Vault, revision: &Revision) -> ApiResult<Content> {
    Ok(Content {
        droplet_guid: revision.droplet_guid.clone(),
        environment: store::environment(tx, vault, &revision.guid)?,
        commands: revision.commands.clone(),
        sidecars: revision.sidecars.clone(),
    })
}
