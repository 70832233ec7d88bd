//! SQL of `service_operations`: what is to be asked of brokers, and what waits for it.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::base::guid::{JobGuid, ServicePlanGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::model::audit_events::{Actor, Cause};
use crate::cloud_controller::model::service_brokers::{BrokerCredentials, BrokerState};
use crate::db::{DbError, ReadTx, Vault, WriteTx};

const COLUMNS: &str = "id, work, resource_guid, broker_guid, parent_id, job_guid, actor_guid, actor_type, actor_name, \
    input, state, broker_operation, attempts, next_at, deadline, faults";

macro_rules! works {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What is done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Work {
            $($(#[$doc])* $name,)+
        }

        impl Work {
            /// The text in SQL.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

works! {
    /// Takes the catalog of a new broker over.
    RegisterBroker = "register broker",
    /// Changes a broker and takes its catalog over.
    UpdateBroker = "update broker",
    CreateInstance = "create instance",
    UpdateInstance = "update instance",
    /// Unbinds an instance, then deletes it.
    DeleteInstance = "delete instance",
    Bind = "bind",
    Unbind = "unbind",
    BindRoute = "bind route",
    UnbindRoute = "unbind route",
    /// Deletes what may be left behind at a broker.
    RemoveOrphan = "remove orphan",
    /// Unbinds an app, then deletes it.
    DeleteApp = "delete app",
    /// Unbinds a route, then deletes it.
    DeleteRoute = "delete route",
    /// Deletes the service instances of a space, then the space.
    DeleteSpace = "delete space",
    /// The same of an organization.
    DeleteOrganization = "delete organization",
    /// Unbinds the apps of a space from an instance, then ends its share.
    Unshare = "unshare",
    /// Binds apps as a manifest says.
    ApplyManifest = "apply manifest",
}

impl Work {
    /// Whether a broker makes or changes something.
    pub(crate) fn makes(self) -> bool {
        matches!(
            self,
            Self::CreateInstance | Self::UpdateInstance | Self::Bind | Self::BindRoute
        )
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Waits for other operations.
    Waiting,
    /// Nothing was sent yet.
    Due,
    /// A request was sent, or was about to be.
    Sent,
    /// The broker works.
    Polling,
    /// What the broker made is asked for.
    Fetching,
}

impl Progress {
    fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Due => "due",
            Self::Sent => "sent",
            Self::Polling => "polling",
            Self::Fetching => "fetching",
        }
    }
}

/// What is to change of an instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct InstanceChange {
    pub name: Option<String>,
    pub tags: Option<Vec<String>>,
    pub plan: Option<ServicePlanGuid>,
    pub version: Option<String>,
    pub metadata: MetadataChange,
}

/// What is to change of a broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BrokerChange {
    pub name: Option<String>,
    pub url: Option<String>,
    pub metadata: MetadataChange,
    /// What it was doing before.
    pub previous: BrokerState,
}

/// What may be left behind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orphan {
    pub instance: String,
    /// Of a binding.
    pub binding: Option<String>,
    pub service_id: String,
    pub plan_id: String,
}

/// What was asked, without secrets.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The request as audit events show it.
    #[serde(default)]
    pub request: Value,
    #[serde(default)]
    pub instance: Option<InstanceChange>,
    #[serde(default)]
    pub broker: Option<BrokerChange>,
    #[serde(default)]
    pub orphan: Option<Orphan>,
    /// Of a binding a manifest asks for: precedes its faults.
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub cause: Option<Cause>,
    /// The space whose share ends.
    #[serde(default)]
    pub space: Option<String>,
}

/// Parameters and credentials.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct OperationSecret {
    #[serde(default)]
    pub parameters: Option<Map<String, Value>>,
    #[serde(default)]
    pub credentials: Option<BrokerCredentials>,
}

/// A new operation.
pub(crate) struct NewOperation<'a> {
    pub work: Work,
    pub resource: &'a str,
    pub broker: &'a str,
    pub parent: Option<i64>,
    pub job: Option<&'a JobGuid>,
    pub actor: &'a Actor,
    pub input: &'a Input,
    pub progress: Progress,
    pub now: Timestamp,
}

/// A stored operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub id: i64,
    pub work: Work,
    pub resource: String,
    pub broker: String,
    pub parent: Option<i64>,
    pub job: Option<JobGuid>,
    pub actor: Actor,
    pub input: Input,
    pub progress: Progress,
    pub handle: Option<String>,
    pub attempts: u32,
    pub next_at: Timestamp,
    pub deadline: Option<Timestamp>,
    pub faults: Vec<String>,
}

/// What the worker has to know of an operation to wait for it: its id, its broker or itself, and
/// when it is due.
pub(crate) fn open(tx: &ReadTx<'_>) -> Result<Vec<(i64, String, Timestamp)>, DbError> {
    let mut reading = tx.reading("service_operations");
    let mut statement = tx.sql().prepare_cached(
        "select id, iif(broker_guid = '', resource_guid, broker_guid), next_at from service_operations \
         where state <> 'waiting' order by next_at, id",
    )?;
    let open = reading.rows(&mut statement, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    reading.finish();
    Ok(open)
}

/// Stores a new operation.
pub(crate) fn insert(
    tx: &WriteTx<'_>,
    new: &NewOperation<'_>,
    secret: Option<&[u8]>,
) -> Result<i64> {
    tx.sql()
        .prepare_cached(
            "insert into service_operations (work, resource_guid, broker_guid, parent_id, job_guid, actor_guid, \
             actor_type, actor_name, input, secret, state, next_at, created_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)",
        )?
        .execute(params![
            new.work.as_str(),
            new.resource,
            new.broker,
            new.parent,
            new.job,
            new.actor.guid,
            new.actor.kind,
            new.actor.name,
            serde_json::to_string(new.input)?,
            secret,
            new.progress.as_str(),
            new.now,
        ])?;
    let mut id = tx.sql().prepare_cached("select last_insert_rowid()")?;
    Ok(id.query_row([], |row| row.get(0))?)
}

/// Updates how far an operation is.
pub(crate) fn update(tx: &WriteTx<'_>, operation: &Operation) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update service_operations set parent_id = ?2, state = ?3, broker_operation = ?4, attempts = ?5, \
             next_at = ?6, deadline = ?7, faults = ?8 where id = ?1",
        )?
        .execute(params![
            operation.id,
            operation.parent,
            operation.progress.as_str(),
            operation.handle,
            operation.attempts,
            operation.next_at,
            operation.deadline,
            serde_json::to_string(&operation.faults)?,
        ])?;
    Ok(())
}

/// One operation.
pub(crate) fn find(tx: &ReadTx<'_>, id: i64) -> Result<Option<Operation>> {
    let sql = format!("select {COLUMNS} from service_operations where id = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([id], operation).optional()?)
}

/// The operations on a resource, oldest first; orphans are no longer resources.
pub(crate) fn of_resource(tx: &ReadTx<'_>, guid: &str) -> Result<Vec<Operation>> {
    let sql = format!(
        "select {COLUMNS} from service_operations where resource_guid = ?1 and work <> 'remove orphan' order by id"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([guid], operation)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether other operations belong to this one.
pub(crate) fn has_children(tx: &ReadTx<'_>, id: i64) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from service_operations where parent_id = ?1")?;
    Ok(statement.exists([id])?)
}

/// The parameters and credentials of an operation.
pub(crate) fn secret(tx: &ReadTx<'_>, vault: &Vault, id: i64) -> Result<OperationSecret> {
    let sealed: Option<Vec<u8>> = tx
        .sql()
        .prepare_cached("select secret from service_operations where id = ?1")?
        .query_row([id], |row| row.get(0))?;
    match sealed {
        None => Ok(OperationSecret::default()),
        Some(sealed) => Ok(serde_json::from_slice(&vault.decrypt(&sealed)?)?),
    }
}

/// Deletes an operation that is over.
pub(crate) fn delete(tx: &WriteTx<'_>, id: i64) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_operations where id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Forgets what may be left behind at a broker that is gone.
pub(crate) fn delete_orphans_of(tx: &WriteTx<'_>, broker: &str) -> Result<()> {
    tx.sql()
        .prepare_cached(
            // What a stand-in left is at another broker.
            "delete from service_operations where broker_guid = ?1 and work = 'remove orphan'
             and not exists (select 1 from service_stand_ins s
                where instr(service_operations.input, s.instance_guid) > 0)",
        )?
        .execute([broker])?;
    Ok(())
}

fn operation(row: &Row<'_>) -> rusqlite::Result<Operation> {
    let broken = |at: usize, what: String| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(at, kind, what.into())
    };
    let work: String = row.get(1)?;
    let kind: String = row.get(7)?;
    let (input, state, faults): (String, String, String) =
        (row.get(9)?, row.get(10)?, row.get(15)?);
    Ok(Operation {
        id: row.get(0)?,
        work: Work::parse(&work).ok_or_else(|| broken(1, work.clone()))?,
        resource: row.get(2)?,
        broker: row.get(3)?,
        parent: row.get(4)?,
        job: row.get(5)?,
        actor: Actor {
            guid: row.get(6)?,
            kind: if kind == "client" { "client" } else { "user" },
            name: row.get(8)?,
        },
        input: serde_json::from_str(&input).map_err(|error| broken(9, error.to_string()))?,
        progress: match state.as_str() {
            "waiting" => Progress::Waiting,
            "due" => Progress::Due,
            "sent" => Progress::Sent,
            "polling" => Progress::Polling,
            _ => Progress::Fetching,
        },
        handle: row.get(11)?,
        attempts: row.get(12)?,
        next_at: row.get(13)?,
        deadline: row.get(14)?,
        faults: serde_json::from_str(&faults).map_err(|error| broken(15, error.to_string()))?,
    })
}
