//! SQL of `service_stand_ins`: instances that another broker has in place of their own.

use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value};

use crate::base::guid::ServiceBrokerGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::db::{ReadTx, WriteTx};

/// What has the place of an instance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StandIn {
    /// Who has it.
    pub broker_guid: ServiceBrokerGuid,
    /// That broker's id of the offering.
    pub offering_id: String,
    /// That broker's id of the plan.
    pub plan_id: String,
    /// What runs, for people.
    pub what: String,
    /// What it is made with.
    pub parameters: Map<String, Value>,
    /// Templates of what apps get; empty = as the broker has them.
    pub credentials: Map<String, Value>,
}

/// The stand-in of an instance, by its guid.
pub(crate) fn find(tx: &ReadTx<'_>, instance: &str) -> Result<Option<StandIn>> {
    let mut statement = tx.sql().prepare_cached(
        "select broker_guid, offering_id, plan_id, what, parameters, credentials
         from service_stand_ins where instance_guid = ?1",
    )?;
    let found = statement.query_row([instance], |row| {
        let object = |text: String| serde_json::from_str::<Map<String, Value>>(&text);
        let (parameters, credentials) = (object(row.get(4)?), object(row.get(5)?));
        Ok((
            StandIn {
                broker_guid: row.get(0)?,
                offering_id: row.get(1)?,
                plan_id: row.get(2)?,
                what: row.get(3)?,
                parameters: Map::new(),
                credentials: Map::new(),
            },
            parameters,
            credentials,
        ))
    });
    let Some((mut stand_in, parameters, credentials)) = found.optional()? else {
        return Ok(None);
    };
    let broken = |_| Error::internal("the row of a stand-in cannot be read");
    stand_in.parameters = parameters.map_err(broken)?;
    stand_in.credentials = credentials.map_err(broken)?;
    Ok(Some(stand_in))
}

/// Whether a broker has any.
pub(crate) fn are_of(tx: &ReadTx<'_>, broker: &ServiceBrokerGuid) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from service_stand_ins where broker_guid = ?1")?;
    Ok(statement.exists([broker])?)
}

/// Stores what has the place of an instance.
pub(crate) fn insert(tx: &WriteTx<'_>, instance: &str, stand_in: &StandIn) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into service_stand_ins
             (instance_guid, broker_guid, offering_id, plan_id, what, parameters, credentials)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            instance,
            stand_in.broker_guid,
            stand_in.offering_id,
            stand_in.plan_id,
            stand_in.what,
            Value::from(stand_in.parameters.clone()).to_string(),
            Value::from(stand_in.credentials.clone()).to_string(),
        ])?;
    Ok(())
}

/// Forgets the stand-ins whose instances are gone, and of which nothing can be left.
pub(crate) fn sweep(tx: &WriteTx<'_>, instance: &str) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "delete from service_stand_ins where instance_guid = ?1
             and not exists (select 1 from service_instances where guid = ?1)
             and not exists (select 1 from service_operations
                where resource_guid = ?1 or instr(input, ?1) > 0)",
        )?
        .execute([instance])?;
    Ok(())
}
