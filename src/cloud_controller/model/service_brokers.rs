//! SQL of `service_brokers`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::base::guid::{ServiceBrokerGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::{Columns, ListQuery, Listed, Select, list};
use crate::db::{ReadTx, Vault, WriteTx, is_unique_violation};

const COLUMNS: &str =
    "b.guid, b.name, b.url, b.space_guid, b.state, b.api_version, b.created_at, b.updated_at";

/// What a broker is doing with its catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BrokerState {
    Synchronizing,
    Available,
    SynchronizationFailed,
    DeleteInProgress,
}

impl BrokerState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Synchronizing => "SYNCHRONIZING",
            Self::Available => "AVAILABLE",
            Self::SynchronizationFailed => "SYNCHRONIZATION_FAILED",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
        }
    }

    /// Whether a job is about to change it.
    pub(crate) fn is_transitional(self) -> bool {
        matches!(self, Self::Synchronizing | Self::DeleteInProgress)
    }
}

/// A stored broker.
#[derive(Debug, Clone)]
pub(crate) struct ServiceBroker {
    pub guid: ServiceBrokerGuid,
    pub name: String,
    pub url: String,
    /// `None` = for all.
    pub space_guid: Option<SpaceGuid>,
    pub state: BrokerState,
    /// `None` = the newest.
    pub api_version: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// How the platform signs in at a broker.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct BrokerCredentials {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for BrokerCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One broker, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &ServiceBrokerGuid) -> Result<Option<ServiceBroker>> {
    let sql = format!("select {COLUMNS} from service_brokers b where b.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], broker).optional()?)
}

/// Brokers by guid, for `fields`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<ServiceBroker>> {
    let mut select = Select::from("service_brokers b");
    select.and_in("b.guid", guids);
    let order = "order by b.created_at, b.guid";
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, order))?;
    let rows = statement.query_map(params_from_iter(select.values()), broker)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of those the caller sees: of spaces where it may use services.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<ServiceBroker>> {
    let mut select = Select::from("service_brokers b");
    if !caller.sees_all() {
        select.and(
            "b.space_guid in (select space_guid from roles where user_guid = ? \
             and type in ('space_developer', 'space_supporter'))",
            [caller.guid.to_string()],
        );
    }
    query.filter_common(&mut select, "b", Some(ResourceType::ServiceBroker))?;
    query.filter(&mut select, "names", "b.name");
    query.filter(&mut select, "space_guids", "b.space_guid");
    let columns = Columns {
        alias: "b",
        names: COLUMNS,
    };
    list(tx, &select, columns, query, broker)
}

/// Whether another broker has this name.
pub(crate) fn is_taken(tx: &ReadTx<'_>, name: &str, except: &ServiceBrokerGuid) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from service_brokers where name = ?1 and guid <> ?2")?;
    Ok(statement.exists(params![name, except])?)
}

/// The brokers of a space.
pub(crate) fn in_space(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<Vec<ServiceBroker>> {
    let sql = format!(
        "select {COLUMNS} from service_brokers b where b.space_guid = ?1 order by b.created_at, b.guid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([space], broker)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether there are instances of a broker's plans.
pub(crate) fn has_instances(tx: &ReadTx<'_>, guid: &ServiceBrokerGuid) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from service_instances i join service_plans p on p.guid = i.plan_guid \
         join service_offerings o on o.guid = p.offering_guid where o.broker_guid = ?1",
    )?;
    Ok(statement.exists([guid])?)
}

/// Stores a new broker; the unique index decides races.
pub(crate) fn insert(
    tx: &WriteTx<'_>,
    vault: &Vault,
    broker: &ServiceBroker,
    credentials: &BrokerCredentials,
) -> Result<()> {
    let sealed = vault.encrypt(&serde_json::to_vec(credentials)?)?;
    let done = tx
        .sql()
        .prepare_cached(
            "insert into service_brokers (guid, name, url, space_guid, credentials, state, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        )?
        .execute(params![
            broker.guid,
            broker.name,
            broker.url,
            broker.space_guid,
            sealed,
            broker.state.as_str(),
            broker.created_at,
        ]);
    name_taken(done)
}

/// Updates everything but the credentials.
pub(crate) fn update(tx: &WriteTx<'_>, broker: &ServiceBroker) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "update service_brokers set name = ?2, url = ?3, state = ?4, api_version = ?5, updated_at = ?6 \
             where guid = ?1",
        )?
        .execute(params![
            broker.guid,
            broker.name,
            broker.url,
            broker.state.as_str(),
            broker.api_version,
            broker.updated_at,
        ]);
    name_taken(done)
}

/// Replaces the credentials.
pub(crate) fn set_credentials(
    tx: &WriteTx<'_>,
    vault: &Vault,
    guid: &ServiceBrokerGuid,
    credentials: &BrokerCredentials,
) -> Result<()> {
    let sealed = vault.encrypt(&serde_json::to_vec(credentials)?)?;
    tx.sql()
        .prepare_cached("update service_brokers set credentials = ?2 where guid = ?1")?
        .execute(params![guid, sealed])?;
    Ok(())
}

/// The credentials.
pub(crate) fn credentials(
    tx: &ReadTx<'_>,
    vault: &Vault,
    guid: &ServiceBrokerGuid,
) -> Result<BrokerCredentials> {
    let sealed: Vec<u8> = tx
        .sql()
        .prepare_cached("select credentials from service_brokers where guid = ?1")?
        .query_row([guid], |row| row.get(0))?;
    Ok(serde_json::from_slice(&vault.decrypt(&sealed)?)?)
}

/// Deletes a broker with its offerings and plans.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &ServiceBrokerGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_brokers where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn name_taken(done: rusqlite::Result<usize>) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => {
            Err(Error::unprocessable("Name must be unique"))
        }
        Err(error) => Err(error.into()),
    }
}

fn broker(row: &Row<'_>) -> rusqlite::Result<ServiceBroker> {
    let state: String = row.get(4)?;
    Ok(ServiceBroker {
        guid: row.get(0)?,
        name: row.get(1)?,
        url: row.get(2)?,
        space_guid: row.get(3)?,
        state: match state.as_str() {
            "SYNCHRONIZING" => BrokerState::Synchronizing,
            "AVAILABLE" => BrokerState::Available,
            "DELETE_IN_PROGRESS" => BrokerState::DeleteInProgress,
            _ => BrokerState::SynchronizationFailed,
        },
        api_version: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}
