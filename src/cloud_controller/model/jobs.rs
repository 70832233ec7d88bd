//! SQL of `jobs`.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use crate::base::Timestamp;
use crate::base::guid::JobGuid;
use crate::cloud_controller::error::Result;
use crate::db::{ReadTx, WriteTx};

/// The state of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JobState {
    /// Queued or in progress.
    Processing,
    /// In progress elsewhere (a broker), polled.
    Polling,
    /// Done.
    Complete,
    /// Failed with these entries.
    Failed(Value),
}

/// A stored job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub guid: JobGuid,
    pub operation: String,
    pub resource_guid: String,
    pub state: JobState,
    pub warnings: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Job {
    /// `app` of `app.delete`.
    pub(crate) fn resource_type(&self) -> &str {
        match self.operation.split('.').next().unwrap_or_default() {
            "service_bindings" | "service_keys" => "service_credential_binding",
            "service_route_bindings" => "service_route_binding",
            kind => kind,
        }
    }
}

const COLUMNS: &str =
    "guid, operation, state, payload, errors, warnings, created_at, updated_at, resource_guid";
/// Kinds of resources with jobs and pages of their own, with their tables.
const RESOURCES: [(&str, &str); 17] = [
    ("app", "apps"),
    ("buildpack", "buildpacks"),
    ("domain", "domains"),
    ("droplet", "droplets"),
    ("organization", "organizations"),
    ("organization_quota", "organization_quotas"),
    ("package", "packages"),
    ("role", "roles"),
    ("route", "routes"),
    ("security_group", "security_groups"),
    ("service_broker", "service_brokers"),
    ("service_credential_binding", "service_credential_bindings"),
    ("service_instance", "service_instances"),
    ("service_route_binding", "service_route_bindings"),
    ("space", "spaces"),
    ("space_quota", "space_quotas"),
    ("user", "user_entries"),
];

fn text(state: &JobState) -> (&'static str, String) {
    match state {
        JobState::Processing => ("PROCESSING", "[]".to_owned()),
        JobState::Polling => ("POLLING", "[]".to_owned()),
        JobState::Complete => ("COMPLETE", "[]".to_owned()),
        JobState::Failed(errors) => ("FAILED", errors.to_string()),
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'a> {
    /// `<resource type>.<action>`, e.g. `buildpack.upload`.
    pub operation: &'a str,
    /// Guid of the resource; empty when it is deleted.
    pub resource: &'a str,
}

pub(crate) fn insert(
    tx: &WriteTx<'_>,
    guid: &JobGuid,
    work: Work<'_>,
    state: &JobState,
    payload: &Value,
    now: Timestamp,
) -> Result<()> {
    let (state, errors) = text(state);
    tx.sql()
        .prepare_cached(
            "insert into jobs (guid, operation, state, payload, errors, created_at, updated_at, resource_guid) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
        )?
        .execute(params![
            guid,
            work.operation,
            state,
            payload.to_string(),
            errors,
            now,
            work.resource,
        ])?;
    Ok(())
}

pub(crate) fn finish(
    tx: &WriteTx<'_>,
    guid: &JobGuid,
    state: &JobState,
    now: Timestamp,
) -> Result<()> {
    let (state, errors) = text(state);
    tx.sql()
        .prepare_cached("update jobs set state = ?2, errors = ?3, updated_at = ?4 where guid = ?1")?
        .execute(params![guid, state, errors, now])?;
    Ok(())
}

/// Adds what clients are to be told besides the result: `[{"detail": …}]`.
pub(crate) fn warn(tx: &WriteTx<'_>, guid: &JobGuid, warnings: &Value) -> Result<()> {
    tx.sql()
        .prepare_cached("update jobs set warnings = ?2 where guid = ?1")?
        .execute(params![guid, warnings.to_string()])?;
    Ok(())
}

pub(crate) fn find(tx: &ReadTx<'_>, guid: &JobGuid) -> Result<Option<Job>> {
    let sql = format!("select {COLUMNS} from jobs where guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], job)
        .optional()?)
}

/// Deletes finished jobs created before a time.
pub(crate) fn remove_before(tx: &WriteTx<'_>, before: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "delete from jobs where created_at < ?1 and state not in ('PROCESSING', 'POLLING')",
        )?
        .execute([before])?;
    Ok(())
}

/// Whether the job's resource exists.
pub(crate) fn resource_exists(tx: &ReadTx<'_>, job: &Job) -> Result<bool> {
    let kind = job.resource_type();
    let Some((_, table)) = RESOURCES.iter().find(|(name, _)| *name == kind) else {
        return Ok(false);
    };
    let sql = format!("select 1 from {table} where guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .exists([&job.resource_guid])?)
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let json = |i: usize| -> rusqlite::Result<Value> {
        let text: String = row.get(i)?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    };
    let state: String = row.get(2)?;
    Ok(Job {
        guid: row.get(0)?,
        operation: row.get(1)?,
        state: match state.as_str() {
            "PROCESSING" => JobState::Processing,
            "POLLING" => JobState::Polling,
            "COMPLETE" => JobState::Complete,
            _ => JobState::Failed(json(4)?),
        },
        warnings: json(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        resource_guid: row.get(8)?,
    })
}
