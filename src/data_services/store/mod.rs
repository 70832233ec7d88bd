//! The tables of data services.

mod backups;
mod broker;
mod events;
mod ports;

use std::collections::BTreeMap;

use rusqlite::{Row, named_params, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Secret, Timestamp};
use crate::db::{DbError, ReadTx, Vault, WriteTx};

pub(super) use backups::*;
pub use broker::{Credentials, Embedded, ensure_credentials, set_broker};
pub(super) use events::{events, note};
pub(super) use ports::{ports, set_ports};

/// An instance of the space `space`, for tests.
#[cfg(test)]
pub(super) fn sample(name: &str) -> Instance {
    let at = Timestamp::from_micros(0);
    Instance {
        guid: format!("{name}-guid"),
        offering_id: "offering".to_owned(),
        plan_id: "plan".to_owned(),
        organization_guid: "organization".to_owned(),
        space_guid: "space".to_owned(),
        name: name.to_owned(),
        parameters: Parameters::new(),
        secrets: Secret::new(BTreeMap::new()),
        ports: BTreeMap::new(),
        version: "1.0.0".to_owned(),
        ready: true,
        operation: Operation {
            id: "operation".to_owned(),
            kind: Kind::Create,
            request: Wanted::default(),
            state: State::Succeeded,
            description: String::new(),
        },
        created_at: at,
        updated_at: at,
    }
}

/// Parameters as users give them.
pub(super) type Parameters = Map<String, Value>;

/// An instance.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) guid: String,
    pub(super) offering_id: String,
    pub(super) plan_id: String,
    pub(super) organization_guid: String,
    pub(super) space_guid: String,
    pub(super) name: String,
    pub(super) parameters: Parameters,
    pub(super) secrets: Secret<BTreeMap<String, String>>,
    /// Ports of this machine by their names.
    pub(super) ports: BTreeMap<String, u16>,
    pub(super) version: String,
    /// Whether its data exist.
    pub(super) ready: bool,
    pub(super) operation: Operation,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

impl Instance {
    /// Whether nothing else is done with it, and it is to run.
    pub(super) fn is_at_rest(&self) -> bool {
        self.operation.state != State::InProgress
            && self.operation.kind != Kind::Delete
            && self.ready
    }
}

/// The newest operation of an instance.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) request: Wanted,
    pub(super) state: State,
    pub(super) description: String,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) plan_id: String,
    pub(super) version: String,
    /// All parameters that hold afterwards.
    pub(super) parameters: Parameters,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) act: Act,
}

/// What is done once, and is no property of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Act {
    pub(super) restart: bool,
    pub(super) recreate: bool,
    /// A backup is made; its tag.
    pub(super) backup: Option<String>,
    /// The backup that is loaded.
    pub(super) restore: Option<String>,
    /// The administrator gets another password.
    #[serde(default)]
    pub(super) rotate_admin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Update,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    InProgress,
    Succeeded,
    Failed,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "create" => Self::Create,
            "update" => Self::Update,
            _ => Self::Delete,
        }
    }
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "in progress" => Self::InProgress,
            "succeeded" => Self::Succeeded,
            _ => Self::Failed,
        }
    }
}

/// A binding.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub(super) guid: String,
    pub(super) instance_guid: String,
    /// What was asked for.
    pub(super) request: Value,
    pub(super) username: String,
    pub(super) password: Secret<String>,
    pub(super) state: BindingState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingState {
    Creating,
    Ready,
    Deleting,
}

impl BindingState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Deleting => "deleting",
        }
    }
}

/// Reads and writes with the vault's key.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) vault: Vault,
}

const INSTANCE: &str = "guid, offering_id, plan_id, organization_guid, space_guid, name, parameters, secrets, ports, \
    version, ready, operation_id, operation_type, operation_request, operation_state, operation_description, \
    created_at, updated_at";
const BINDING: &str = "guid, instance_guid, request, username, password, state";

fn broken(error: impl std::fmt::Display) -> DbError {
    DbError::Interrupted(format!("a row of data services cannot be read: {error}"))
}

impl Store {
    fn seal(&self, value: &impl Serialize) -> Result<Vec<u8>, DbError> {
        let plain = serde_json::to_vec(value).map_err(broken)?;
        self.vault.encrypt(&plain).map_err(broken)
    }

    fn open<T: serde::de::DeserializeOwned>(&self, sealed: &[u8]) -> Result<T, DbError> {
        let plain = self.vault.decrypt(sealed).map_err(broken)?;
        serde_json::from_slice(&plain).map_err(broken)
    }

    fn instance(&self, row: &Row<'_>) -> Result<Instance, DbError> {
        Ok(Instance {
            guid: row.get(0)?,
            offering_id: row.get(1)?,
            plan_id: row.get(2)?,
            organization_guid: row.get(3)?,
            space_guid: row.get(4)?,
            name: row.get(5)?,
            parameters: self.open(&row.get::<_, Vec<u8>>(6)?)?,
            secrets: self.open(&row.get::<_, Vec<u8>>(7)?)?,
            ports: serde_json::from_str(&row.get::<_, String>(8)?).map_err(broken)?,
            version: row.get(9)?,
            ready: row.get(10)?,
            operation: Operation {
                id: row.get(11)?,
                kind: Kind::parse(&row.get::<_, String>(12)?),
                request: self.open(&row.get::<_, Vec<u8>>(13)?)?,
                state: State::parse(&row.get::<_, String>(14)?),
                description: row.get(15)?,
            },
            created_at: row.get(16)?,
            updated_at: row.get(17)?,
        })
    }

    pub(super) fn find(&self, tx: &ReadTx<'_>, guid: &str) -> Result<Option<Instance>, DbError> {
        let sql = format!("select {INSTANCE} from data_service_instances where guid = ?1");
        let mut statement = tx.sql().prepare_cached(&sql)?;
        let mut rows = statement.query([guid])?;
        rows.next()?.map(|row| self.instance(row)).transpose()
    }

    /// All instances that can be read; the others are reported and left as they are.
    pub(super) fn all(&self, tx: &ReadTx<'_>) -> Result<Vec<Instance>, DbError> {
        let sql =
            format!("select {INSTANCE} from data_service_instances order by created_at, guid");
        let mut statement = tx.sql().prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            match self.instance(row) {
                Ok(instance) => all.push(instance),
                Err(error) => {
                    let guid: String = row.get(0)?;
                    tracing::error!(service_instance = guid, %error, "leaving a data service as it is");
                }
            }
        }
        Ok(all)
    }

    pub(super) fn insert(&self, tx: &WriteTx<'_>, instance: &Instance) -> Result<(), DbError> {
        tx.sql()
            .prepare_cached(
                "insert into data_service_instances (guid, offering_id, plan_id, organization_guid, space_guid, name, \
                 parameters, secrets, ports, version, ready, operation_id, operation_type, operation_request, \
                 operation_state, operation_description, created_at, updated_at) values (:guid, :offering, :plan, \
                 :organization, :space, :name, :parameters, :secrets, :ports, :version, :ready, :id, :kind, :request, \
                 :state, :description, :created, :updated)",
            )?
            .execute(named_params! {
                ":guid": instance.guid, ":offering": instance.offering_id, ":plan": instance.plan_id,
                ":organization": instance.organization_guid, ":space": instance.space_guid,
                ":name": instance.name, ":parameters": self.seal(&instance.parameters)?,
                ":secrets": self.seal(instance.secrets.expose())?,
                ":ports": serde_json::to_string(&instance.ports).map_err(broken)?,
                ":version": instance.version, ":ready": instance.ready,
                ":id": instance.operation.id, ":kind": instance.operation.kind.as_str(),
                ":request": self.seal(&instance.operation.request)?,
                ":state": instance.operation.state.as_str(),
                ":description": instance.operation.description,
                ":created": instance.created_at, ":updated": instance.updated_at,
            })?;
        for port in instance.ports.values() {
            tx.sql()
                .prepare_cached(
                    "insert into data_service_ports (port, instance_guid) values (?1, ?2)",
                )?
                .execute(params![port, instance.guid])?;
        }
        Ok(())
    }

    /// Stores what an instance has become, unless its operation was replaced meanwhile.
    pub(super) fn save(&self, tx: &WriteTx<'_>, instance: &Instance) -> Result<(), DbError> {
        self.replace(tx, instance, &instance.operation.id).map(drop)
    }

    /// Begins the next operation of an instance; false when another one began since `previous`.
    pub(super) fn begin(
        &self,
        tx: &WriteTx<'_>,
        instance: &Instance,
        previous: &str,
    ) -> Result<bool, DbError> {
        self.replace(tx, instance, previous)
    }

    fn replace(
        &self,
        tx: &WriteTx<'_>,
        instance: &Instance,
        previous: &str,
    ) -> Result<bool, DbError> {
        let changed = tx.sql()
            .prepare_cached(
                "update data_service_instances set plan_id = :plan, name = :name, parameters = :parameters, \
                 version = :version, ready = :ready, operation_id = :id, operation_type = :kind, \
                 operation_request = :request, operation_state = :state, operation_description = :description, \
                 updated_at = :updated where guid = :guid and operation_id = :previous",
            )?
            .execute(named_params! {
                ":guid": instance.guid, ":plan": instance.plan_id, ":name": instance.name,
                ":parameters": self.seal(&instance.parameters)?, ":version": instance.version,
                ":ready": instance.ready, ":id": instance.operation.id,
                ":kind": instance.operation.kind.as_str(),
                ":request": self.seal(&instance.operation.request)?,
                ":state": instance.operation.state.as_str(),
                ":description": instance.operation.description, ":updated": instance.updated_at,
                ":previous": previous,
            })?;
        Ok(changed == 1)
    }

    /// Stores other secrets of an instance.
    pub(super) fn set_secrets(&self, tx: &WriteTx<'_>, instance: &Instance) -> Result<(), DbError> {
        tx.sql()
            .prepare_cached("update data_service_instances set secrets = ?2 where guid = ?1")?
            .execute(params![
                instance.guid,
                self.seal(instance.secrets.expose())?
            ])?;
        Ok(())
    }

    pub(super) fn bindings(
        &self,
        tx: &ReadTx<'_>,
        instance: &str,
    ) -> Result<Vec<Binding>, DbError> {
        let sql = format!(
            "select {BINDING} from data_service_bindings where instance_guid = ?1 order by created_at, guid"
        );
        let mut statement = tx.sql().prepare_cached(&sql)?;
        let mut rows = statement.query([instance])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(self.binding_of(row)?);
        }
        Ok(all)
    }

    pub(super) fn binding(&self, tx: &ReadTx<'_>, guid: &str) -> Result<Option<Binding>, DbError> {
        let sql = format!("select {BINDING} from data_service_bindings where guid = ?1");
        let mut statement = tx.sql().prepare_cached(&sql)?;
        let mut rows = statement.query([guid])?;
        rows.next()?.map(|row| self.binding_of(row)).transpose()
    }

    fn binding_of(&self, row: &Row<'_>) -> Result<Binding, DbError> {
        Ok(Binding {
            guid: row.get(0)?,
            instance_guid: row.get(1)?,
            request: serde_json::from_str(&row.get::<_, String>(2)?).map_err(broken)?,
            username: row.get(3)?,
            password: self.open(&row.get::<_, Vec<u8>>(4)?)?,
            state: match row.get::<_, String>(5)?.as_str() {
                "creating" => BindingState::Creating,
                "ready" => BindingState::Ready,
                _ => BindingState::Deleting,
            },
        })
    }

    pub(super) fn insert_binding(
        &self,
        tx: &WriteTx<'_>,
        binding: &Binding,
        now: Timestamp,
    ) -> Result<(), DbError> {
        tx.sql()
            .prepare_cached(
                "insert into data_service_bindings (guid, instance_guid, request, username, password, state, \
                 created_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                binding.guid,
                binding.instance_guid,
                binding.request.to_string(),
                binding.username,
                self.seal(binding.password.expose())?,
                binding.state.as_str(),
                now,
            ])?;
        Ok(())
    }
}

/// Removes an instance with its bindings.
pub(super) fn remove(tx: &WriteTx<'_>, guid: &str) -> Result<(), DbError> {
    for table in [
        "data_service_bindings",
        "data_service_ports",
        "data_service_events",
    ] {
        tx.sql()
            .prepare_cached(&format!("delete from {table} where instance_guid = ?1"))?
            .execute([guid])?;
    }
    let mut statement = tx
        .sql()
        .prepare_cached("delete from data_service_instances where guid = ?1")?;
    statement.execute([guid])?;
    Ok(())
}

/// Whether there is a row of an instance, readable or not.
pub(super) fn exists(tx: &ReadTx<'_>, guid: &str) -> Result<bool, DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from data_service_instances where guid = ?1")?;
    Ok(statement.exists([guid])?)
}

/// The instances of a plan in a space.
pub(super) fn count(tx: &ReadTx<'_>, plan: &str, space: &str) -> Result<i64, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select count(*) from data_service_instances where plan_id = ?1 and space_guid = ?2",
    )?;
    Ok(statement.query_row([plan, space], |row| row.get(0))?)
}

/// Says what an operation does now.
pub(super) fn describe(tx: &WriteTx<'_>, guid: &str, text: &str) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached(
            "update data_service_instances set operation_description = ?2 where guid = ?1",
        )?
        .execute([guid, text])?;
    Ok(())
}

/// Instances whose operation goes on.
pub(super) fn busy(tx: &ReadTx<'_>) -> Result<Vec<String>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select guid from data_service_instances where operation_state = 'in progress' order by updated_at",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn set_binding_state(
    tx: &WriteTx<'_>,
    guid: &str,
    state: BindingState,
) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached("update data_service_bindings set state = ?2 where guid = ?1")?
        .execute([guid, state.as_str()])?;
    Ok(())
}

pub(super) fn remove_binding(tx: &WriteTx<'_>, guid: &str) -> Result<(), DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("delete from data_service_bindings where guid = ?1")?;
    statement.execute([guid])?;
    Ok(())
}
