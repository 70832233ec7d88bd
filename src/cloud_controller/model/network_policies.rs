//! SQL of `network_policies`.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Type;
use rusqlite::{Row, named_params, params};

use crate::base::guid::{AppGuid, SpaceGuid};
use crate::cloud_controller::error::Result;
use crate::db::{ReadTx, WriteTx};
use crate::network::{Policy, PolicyProtocol, PortRange};

/// Which policies are listed; an empty list of guids is none at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Apps that connect or accept.
    pub either: Option<Vec<String>>,
    /// Apps that connect.
    pub sources: Option<Vec<String>>,
    /// Apps that accept.
    pub destinations: Option<Vec<String>>,
}

/// Policies, in the order of their apps.
pub(crate) fn list(tx: &ReadTx<'_>, filter: &Filter) -> Result<Vec<Policy>> {
    const SQL: &str = "
        select source_guid, destination_guid, protocol, first_port, last_port from network_policies
        where (:either is null or source_guid in (select value from json_each(:either))
               or destination_guid in (select value from json_each(:either)))
          and (:sources is null or source_guid in (select value from json_each(:sources)))
          and (:destinations is null or destination_guid in (select value from json_each(:destinations)))
        order by source_guid, destination_guid, protocol, first_port, last_port";
    let json =
        |guids: &Option<Vec<String>>| { guids.as_ref() }.map(serde_json::to_string).transpose();
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let values = named_params! {
        ":either": json(&filter.either)?,
        ":sources": json(&filter.sources)?,
        ":destinations": json(&filter.destinations)?,
    };
    let rows = statement.query_map(values, policy)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores one; repeating it changes nothing.
pub(crate) fn insert(tx: &WriteTx<'_>, policy: &Policy) -> Result<()> {
    const SQL: &str = "
        insert into network_policies (source_guid, destination_guid, protocol, first_port, last_port)
        values (?1, ?2, ?3, ?4, ?5) on conflict do nothing";
    execute(tx, SQL, policy)
}

/// Deletes one, if it is there.
pub(crate) fn delete(tx: &WriteTx<'_>, policy: &Policy) -> Result<()> {
    const SQL: &str = "
        delete from network_policies where source_guid = ?1 and destination_guid = ?2 and protocol = ?3
        and first_port = ?4 and last_port = ?5";
    execute(tx, SQL, policy)
}

fn execute(tx: &WriteTx<'_>, sql: &str, policy: &Policy) -> Result<()> {
    tx.sql().prepare_cached(sql)?.execute(params![
        policy.source,
        policy.destination,
        policy.protocol.as_str(),
        policy.ports.first,
        policy.ports.last
    ])?;
    Ok(())
}

/// How many policies an app is the source of.
pub(crate) fn count_of_source(tx: &ReadTx<'_>, app: &AppGuid) -> Result<usize> {
    const SQL: &str = "select count(*) from network_policies where source_guid = ?1";
    let count: i64 = tx
        .sql()
        .prepare_cached(SQL)?
        .query_row([app], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The spaces of those apps that exist.
pub(crate) fn spaces_of_apps(
    tx: &ReadTx<'_>,
    apps: &BTreeSet<String>,
) -> Result<BTreeMap<String, SpaceGuid>> {
    const SQL: &str =
        "select guid, space_guid from apps where guid in (select value from json_each(?1))";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map([serde_json::to_string(apps)?], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The spaces of builds that are under way.
pub(crate) fn spaces_of_builds(tx: &ReadTx<'_>) -> Result<BTreeMap<String, SpaceGuid>> {
    const SQL: &str = "
        select builds.guid, apps.space_guid from builds join apps on apps.guid = builds.app_guid
        where builds.state = 'STAGING'";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn policy(row: &Row<'_>) -> rusqlite::Result<Policy> {
    let protocol: String = row.get(2)?;
    let protocol = PolicyProtocol::parse(&protocol)
        .ok_or_else(|| rusqlite::Error::InvalidColumnType(2, "protocol".to_owned(), Type::Text))?;
    Ok(Policy {
        source: row.get(0)?,
        destination: row.get(1)?,
        protocol,
        ports: PortRange {
            first: row.get(3)?,
            last: row.get(4)?,
        },
    })
}
