//! SQL of `desired_processes`, and of the inputs of a snapshot.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use super::{AppImage, Droplet, Specification, Started};
use crate::base::Megabytes;
use crate::base::guid::{AppGuid, DropletGuid, ProcessGuid, SpaceGuid, TaskGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::processes::{Limits, Process};
use crate::db::{DbError, ReadTx, Reading, WriteTx};

const DROPLET: &str = "d.guid, d.app_guid, d.state, d.process_types, d.sidecars, \
                       d.execution_metadata, d.image_digest";
/// The planner must begin with the few that are started.
pub(crate) const STARTED: &str = "select d.process_guid, d.version, p.instances, a.name, d.app_guid from desired_processes d \
                       cross join processes p on p.guid = d.process_guid \
                       cross join apps a on a.guid = d.app_guid where p.instances <> 0";

/// A snapshot as stored.
pub(crate) struct Snapshot {
    pub app_guid: AppGuid,
    pub process_type: String,
    pub droplet_guid: DropletGuid,
    pub image_digest: String,
    pub specification: String,
    pub environment: Vec<u8>,
}

/// Stores a process's snapshot; it replaces the previous one.
pub(crate) fn save(
    tx: &WriteTx<'_>,
    process: &Process,
    droplet: &Droplet,
    specification: &Specification,
    environment: &[u8],
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert or replace into desired_processes (process_guid, app_guid, process_type, version, \
             droplet_guid, image_digest, specification, environment) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            process.guid,
            process.app_guid,
            process.kind,
            process.version,
            droplet.guid,
            droplet.image_digest.as_deref().unwrap_or_default(),
            serde_json::to_string(specification)?,
            environment,
        ])?;
    Ok(())
}

/// Every started process that should have instances.
pub(crate) fn started(tx: &ReadTx<'_>, reading: &mut Reading<'_>) -> Result<Vec<Started>, DbError> {
    let mut statement = tx.sql().prepare_cached(STARTED)?;
    reading.rows(&mut statement, [], |row| {
        Ok(Started {
            process_guid: row.get(0)?,
            version: row.get(1)?,
            instances: row.get(2)?,
            app_name: row.get(3)?,
            app_guid: row.get(4)?,
        })
    })
}

/// The snapshot of a process.
pub(crate) fn snapshot(
    tx: &ReadTx<'_>,
    process: &ProcessGuid,
) -> Result<Option<Snapshot>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select app_guid, process_type, droplet_guid, image_digest, specification, environment \
         from desired_processes where process_guid = ?1",
    )?;
    let row = statement.query_row([process], |row| {
        Ok(Snapshot {
            app_guid: row.get(0)?,
            process_type: row.get(1)?,
            droplet_guid: row.get(2)?,
            image_digest: row.get(3)?,
            specification: row.get(4)?,
            environment: row.get(5)?,
        })
    });
    Ok(row.optional()?)
}

/// The stored snapshot of a task that has not ended.
pub(crate) struct TaskSnapshot {
    pub droplet_guid: DropletGuid,
    pub image_digest: String,
    pub specification: String,
    pub environment: Vec<u8>,
}

/// Stores a task's snapshot.
pub(crate) fn save_task(tx: &WriteTx<'_>, task: &TaskGuid, snapshot: &TaskSnapshot) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into desired_tasks (task_guid, droplet_guid, image_digest, specification, environment) \
             values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            task,
            snapshot.droplet_guid,
            snapshot.image_digest,
            snapshot.specification,
            snapshot.environment,
        ])?;
    Ok(())
}

/// The snapshot of a task.
pub(crate) fn task_snapshot(
    tx: &ReadTx<'_>,
    task: &TaskGuid,
) -> Result<Option<TaskSnapshot>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select droplet_guid, image_digest, specification, environment from desired_tasks \
         where task_guid = ?1",
    )?;
    let row = statement.query_row([task], |row| {
        Ok(TaskSnapshot {
            droplet_guid: row.get(0)?,
            image_digest: row.get(1)?,
            specification: row.get(2)?,
            environment: row.get(3)?,
        })
    });
    Ok(row.optional()?)
}

/// Deletes the snapshot of a task that has ended.
pub(crate) fn delete_task(tx: &WriteTx<'_>, task: &TaskGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from desired_tasks where task_guid = ?1")?
        .execute([task])?;
    Ok(())
}

/// The desired version of a process.
pub(crate) fn version(tx: &ReadTx<'_>, process: &ProcessGuid) -> Result<Option<String>, DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("select version from desired_processes where process_guid = ?1")?;
    Ok(statement
        .query_row([process], |row| row.get(0))
        .optional()?)
}

/// Whether a process is started.
pub(crate) fn runs(tx: &ReadTx<'_>, process: &ProcessGuid) -> Result<bool> {
    Ok(version(tx, process)?.is_some())
}

/// The limits a process was started with; `None` when it was not started, or they cannot be read.
pub(crate) fn limits(tx: &ReadTx<'_>, process: &ProcessGuid) -> Result<Option<Limits>> {
    let snapshot = match snapshot(tx, process) {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return Ok(None),
        Err(error) if error.is_unreadable() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let limits = |spec: Specification| Limits {
        memory: Megabytes(spec.memory),
        disk: Megabytes(spec.disk),
        log_rate: spec.log_rate_limit,
    };
    let spec = serde_json::from_str(&snapshot.specification);
    Ok(spec.ok().map(limits))
}

/// The started ones of these processes.
pub(crate) fn running<'a>(
    tx: &ReadTx<'_>,
    processes: impl Iterator<Item = &'a ProcessGuid>,
) -> Result<HashSet<ProcessGuid>> {
    let guids: Value = processes.map(ProcessGuid::as_str).collect();
    let mut statement = tx.sql().prepare_cached(
        "select process_guid from desired_processes where process_guid in (select value from json_each(?1))",
    )?;
    let rows = statement.query_map([guids.to_string()], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stops all processes of an app.
pub(crate) fn delete_of_app(tx: &WriteTx<'_>, app: &AppGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from desired_processes where app_guid = ?1")?
        .execute([app])?;
    Ok(())
}

/// The parts of a droplet needed to run it.
pub(crate) fn find_droplet(tx: &ReadTx<'_>, guid: &DropletGuid) -> Result<Option<Droplet>> {
    let sql = format!("select {DROPLET} from droplets d where d.guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], |row| droplet(row, 0))
        .optional()?)
}

/// Apps' spaces and current droplets, for the presentation of their processes.
pub(crate) fn contexts_of<'a>(
    tx: &ReadTx<'_>,
    apps: impl Iterator<Item = &'a AppGuid>,
) -> Result<HashMap<AppGuid, (SpaceGuid, AppImage)>> {
    let guids: Value = apps.map(AppGuid::as_str).collect();
    let sql = format!(
        "select a.guid, a.space_guid, a.lifecycle_type, {DROPLET} from apps a \
         left join droplets d on d.guid = a.current_droplet_guid \
         where a.guid in (select value from json_each(?1))"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([guids.to_string()], |row| {
        let kind: String = row.get(2)?;
        let has_droplet = row.get::<_, Option<DropletGuid>>(3)?.is_some();
        let image = AppImage {
            docker: kind == "docker",
            droplet: has_droplet.then(|| droplet(row, 3)).transpose()?,
        };
        Ok((row.get(0)?, (row.get(1)?, image)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The ports that routes name for a process type; 0 = the default port.
pub(crate) fn mapped_ports(tx: &ReadTx<'_>, app: &AppGuid, kind: &str) -> Result<Vec<u16>> {
    let mut statement = tx.sql().prepare_cached(
        "select port from destinations where app_guid = ?1 and process_type = ?2 order by created_at, guid",
    )?;
    let rows = statement.query_map(params![app, kind], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The addresses of an app, or of one process type of it: without scheme.
pub(crate) fn uris(tx: &ReadTx<'_>, app: &AppGuid, kind: Option<&str>) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select r.host, d.name, r.path, r.port from routes r join domains d on d.guid = r.domain_guid \
         where r.guid in (select route_guid from destinations where app_guid = ?1 \
         and (?2 is null or process_type = ?2)) order by r.created_at, r.guid",
    )?;
    let rows = statement.query_map(params![app, kind], |row| {
        let (host, domain): (String, String) = (row.get(0)?, row.get(1)?);
        let (path, port): (String, u16) = (row.get(2)?, row.get(3)?);
        let host = if host.is_empty() {
            domain
        } else {
            format!("{host}.{domain}")
        };
        let port = if port == 0 {
            String::new()
        } else {
            format!(":{port}")
        };
        Ok(format!("{host}{path}{port}"))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn droplet(row: &Row<'_>, first: usize) -> rusqlite::Result<Droplet> {
    let state: String = row.get(first + 2)?;
    Ok(Droplet {
        guid: row.get(first)?,
        app_guid: row.get(first + 1)?,
        staged: state == "STAGED",
        process_types: json(row, first + 3)?,
        sidecars: json(row, first + 4)?,
        execution_metadata: row.get(first + 5)?,
        image_digest: row.get(first + 6)?,
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

/// Droplets that run, or would run after a `cf start`.
///
/// A guid that is not text belongs to no droplet, so it protects none.
pub(crate) fn runnable_droplets(tx: &ReadTx<'_>) -> Result<BTreeSet<DropletGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select droplet_guid from desired_processes union select droplet_guid from desired_tasks \
         union select current_droplet_guid from apps where current_droplet_guid is not null",
    )?;
    let mut reading = tx.reading("droplets that can run");
    let guids = reading.rows(&mut statement, [], |row| Ok(row.get::<_, DropletGuid>(0)?))?;
    reading.finish();
    Ok(guids.into_iter().collect())
}
