//! What can be done to sidecars, each inside the caller's transaction.

use crate::base::guid::AppGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::desired::Droplet;
use crate::cloud_controller::model::revisions::RevisionSidecar;
use crate::cloud_controller::model::sidecars::Sidecar;
use crate::cloud_controller::payload::sidecars::{NewSidecar, SidecarChange};
use crate::cloud_controller::permits::{MaySupport, MayWrite};
use crate::db::{ReadTx, WriteTx};

/// Makes a sidecar.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    app: &App,
    wanted: NewSidecar,
) -> Result<Sidecar> {
    may.covers(&app.space_guid)?;
    insert(tx, may, app, wanted)
}

fn insert(tx: &WriteTx<'_>, recorder: &Recorder, app: &App, wanted: NewSidecar) -> Result<Sidecar> {
    let sidecar = Sidecar {
        guid: recorder.guids.next(),
        app_guid: app.guid.clone(),
        name: wanted.name,
        command: wanted.command,
        process_types: wanted.process_types,
        memory: wanted.memory,
        origin: wanted.origin.to_owned(),
        created_at: recorder.now,
        updated_at: recorder.now,
    };
    model::sidecars::save(tx, &sidecar)?;
    if sidecar.memory.is_some() {
        check_memory(tx, &app.guid, &sidecar.process_types)?;
    }
    Ok(sidecar)
}

/// Deletes a sidecar of an app.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayWrite, app: &App, sidecar: &Sidecar) -> Result<()> {
    may.covers_part(app, &sidecar.app_guid)?;
    model::sidecars::delete(tx, &sidecar.guid)
}

/// Changes a sidecar of an app.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    app: &App,
    mut sidecar: Sidecar,
    change: SidecarChange,
) -> Result<Sidecar> {
    may.covers_part(app, &sidecar.app_guid)?;
    let checked = change.memory.is_some() || change.process_types.is_some();
    sidecar.name = change.name.unwrap_or(sidecar.name);
    sidecar.command = change.command.unwrap_or(sidecar.command);
    sidecar.process_types = change.process_types.unwrap_or(sidecar.process_types);
    sidecar.memory = change.memory.unwrap_or(sidecar.memory);
    sidecar.updated_at = may.now;
    model::sidecars::save(tx, &sidecar)?;
    if checked {
        check_memory(tx, &sidecar.app_guid, &sidecar.process_types)?;
    }
    Ok(sidecar)
}

/// Makes a sidecar, or changes the one of the same name.
pub(crate) fn put(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    app: &App,
    wanted: NewSidecar,
) -> Result<Sidecar> {
    may.covers(&app.space_guid)?;
    match model::sidecars::find_by_name(tx, &app.guid, &wanted.name)? {
        None => create(tx, may, app, wanted),
        Some(sidecar) => {
            let change = SidecarChange {
                name: None,
                command: Some(wanted.command),
                process_types: Some(wanted.process_types),
                memory: wanted.memory.map(Some),
            };
            update(tx, may, app, sidecar, change)
        }
    }
}

/// Replaces the sidecars buildpacks brought with those of a droplet.
pub(crate) fn synchronize(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    droplet: &Droplet,
) -> Result<()> {
    may.covers(&app.space_guid)?;
    model::sidecars::delete_from_buildpacks(tx, &app.guid)?;
    for sidecar in &droplet.sidecars {
        let name = &sidecar.name;
        if model::sidecars::find_by_name(tx, &app.guid, name)?.is_some() {
            return Err(Error::unprocessable(format!(
                "Buildpack defined sidecar '{name}' conflicts with an existing user-defined sidecar. \
                 Consider renaming '{name}'."
            )));
        }
        let wanted = NewSidecar {
            name: name.clone(),
            command: sidecar.command.clone(),
            process_types: sidecar.process_types.clone(),
            memory: sidecar.memory,
            origin: "buildpack",
        };
        insert(tx, may, app, wanted)?;
    }
    Ok(())
}

/// Replaces all sidecars by those of a revision.
pub(crate) fn restore(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    app: &App,
    wanted: &[RevisionSidecar],
) -> Result<()> {
    may.covers(&app.space_guid)?;
    for sidecar in model::sidecars::of_app(tx, &app.guid)? {
        model::sidecars::delete(tx, &sidecar.guid)?;
    }
    for sidecar in wanted {
        let wanted = NewSidecar {
            name: sidecar.name.clone(),
            command: sidecar.command.clone(),
            process_types: sidecar.process_types.clone(),
            memory: sidecar.memory_in_mb,
            origin: "user",
        };
        insert(tx, may, app, wanted)?;
    }
    Ok(())
}

/// All sidecars of a process together have to leave it some memory.
fn check_memory(tx: &ReadTx<'_>, app: &AppGuid, types: &[String]) -> Result<()> {
    for process in model::processes::of_app(tx, app)? {
        let concerned = types.contains(&process.kind);
        if concerned && model::sidecars::memory_of(tx, app, &process.kind)? >= process.memory {
            return Err(Error::unprocessable(format!(
                "The memory allocation defined is too large to run with the dependent \"{}\" process",
                process.kind
            )));
        }
    }
    Ok(())
}
