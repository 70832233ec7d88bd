//! Writing revisions, inside the transaction that starts an app.

use serde_json::json;

use crate::base::guid::RevisionGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::apps::{App, Feature};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::revisions::{
    Content, Revision, RevisionSidecar, next_version, reasons,
};
use crate::cloud_controller::permits::{MayReadSecrets, MaySupport, MayWrite};
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, Vault, WriteTx};

/// So many are kept of each app.
pub(crate) const KEPT: i64 = 100;

/// The revision that an app which is started now runs under: the latest one, or a new one when
/// something differs. `None` when the app has no revisions.
pub(crate) fn of_start(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    vault: &Vault,
    app: &App,
) -> Result<Option<Revision>> {
    may.covers(&app.space_guid)?;
    let Some(next) = content(tx, vault, app)? else {
        return Ok(None);
    };
    let latest = model::revisions::latest(tx, &app.guid)?;
    let reasons = match &latest {
        None => vec!["Initial revision.".to_owned()],
        Some(latest) => reasons(&stored(tx, vault, latest)?, &next),
    };
    if reasons.is_empty() {
        return Ok(latest);
    }
    let version = next_version(latest.map(|latest| latest.version));
    let new = NewRevision {
        version,
        reasons,
        content: next,
    };
    add(tx, may, vault, app, new).map(Some)
}

/// Makes an app as a revision was, which is a revision of its own. The app has its droplet already.
pub(crate) fn roll_back(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    vault: &Vault,
    app: &App,
    target: &Revision,
) -> Result<()> {
    may.covers_part(app, &target.app_guid)?;
    let environment = model::revisions::environment(tx, vault, &target.guid)?;
    model::apps::set_environment(tx, vault, &app.guid, &environment)?;
    actions::sidecars::restore(tx, may, app, &target.sidecars)?;
    for (kind, command) in &target.commands {
        if let Some(mut process) = model::processes::find_of_type(tx, &app.guid, kind)? {
            process.command.clone_from(command);
            process.updated_at = may.now;
            model::processes::update(tx, &process)?;
        }
    }
    let latest = model::revisions::latest(tx, &app.guid)?;
    let (Some(latest), Some(next)) = (latest, content(tx, vault, app)?) else {
        return Ok(());
    };
    let mut reasons = reasons(&stored(tx, vault, &latest)?, &next);
    if reasons.is_empty() {
        return Err(Error::unprocessable(
            "Unable to rollback. The code and configuration you are rolling back to is the same as the deployed revision.",
        ));
    }
    reasons.push(format!("Rolled back to revision {}.", target.version));
    let version = next_version(Some(latest.version));
    let new = NewRevision {
        version,
        reasons,
        content: next,
    };
    add(tx, may, vault, app, new).map(drop)
}

/// What differs from the revision before, and what is there now.
struct NewRevision {
    version: i64,
    reasons: Vec<String>,
    content: Content,
}

fn add(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    vault: &Vault,
    app: &App,
    new: NewRevision,
) -> Result<Revision> {
    let revision = Revision {
        guid: RevisionGuid::generate(&recorder.guids),
        app_guid: app.guid.clone(),
        version: new.version,
        droplet_guid: new.content.droplet_guid.clone(),
        commands: new.content.commands.clone(),
        sidecars: new.content.sidecars.clone(),
        description: new.reasons.join(" "),
        deployable: true,
        created_at: recorder.now,
        updated_at: recorder.now,
    };
    for surplus in model::revisions::surplus(tx, &app.guid, revision.version, KEPT - 1)? {
        model::revisions::delete(tx, &surplus)?;
    }
    model::revisions::insert(tx, vault, &revision, &new.content)?;
    record(tx, recorder, "audit.app.revision.create", app, &revision)?;
    Ok(revision)
}

/// The latest revision of an app that has revisions.
pub(crate) fn latest(tx: &ReadTx<'_>, app: &App) -> Result<Option<Revision>> {
    if !app.features.on(Feature::Revisions) {
        return Ok(None);
    }
    model::revisions::latest(tx, &app.guid)
}

/// Changes metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    app: &App,
    mut revision: Revision,
    metadata: &MetadataChange,
) -> Result<Revision> {
    may.covers_part(app, &revision.app_guid)?;
    metadata.store(tx, ResourceType::Revision, revision.guid.as_str())?;
    revision.updated_at = may.now;
    model::revisions::touch(tx, &revision.guid, may.now)?;
    Ok(revision)
}

/// Writes that the environment variables of a revision were read.
pub(crate) fn record_read(
    tx: &WriteTx<'_>,
    may: &MayReadSecrets,
    app: &App,
    revision: &Revision,
) -> Result<()> {
    may.covers(&app.space_guid)?;
    let kind = "audit.app.revision.environment_variables.show";
    record(tx, may, kind, app, revision)
}

/// Writes an event about an app's revision.
fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    app: &App,
    revision: &Revision,
) -> Result<()> {
    let data = json!({ "revision_guid": revision.guid, "revision_version": revision.version });
    actions::apps::record(tx, recorder, kind, app, &data)
}

/// What an app would run with now; `None` when it has no revisions or no droplet.
fn content(tx: &ReadTx<'_>, vault: &Vault, app: &App) -> Result<Option<Content>> {
    let Some(droplet) = &app.current_droplet_guid else {
        return Ok(None);
    };
    if !app.features.on(Feature::Revisions) {
        return Ok(None);
    }
    let processes = model::processes::of_app(tx, &app.guid)?;
    let sidecars = model::sidecars::of_app(tx, &app.guid)?;
    Ok(Some(Content {
        droplet_guid: droplet.clone(),
        environment: model::apps::environment(tx, vault, &app.guid)?,
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

fn stored(tx: &ReadTx<'_>, vault: &Vault, revision: &Revision) -> Result<Content> {
    Ok(Content {
        droplet_guid: revision.droplet_guid.clone(),
        environment: model::revisions::environment(tx, vault, &revision.guid)?,
        commands: revision.commands.clone(),
        sidecars: revision.sidecars.clone(),
    })
}
