//! SQL of `service_usage_events`.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::Timestamp;
use crate::base::guid::ServiceInstanceGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list_by_id};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "e.guid, e.state, e.space_guid, e.space_name, e.organization_guid, e.service_instance_guid, \
    e.service_instance_name, e.service_instance_type, e.service_plan_guid, e.service_plan_name, \
    e.service_offering_guid, e.service_offering_name, e.service_broker_guid, e.service_broker_name, e.created_at";

/// A stored event; pairs are [guid, name].
#[derive(Debug)]
pub(crate) struct ServiceUsageEvent {
    pub guid: String,
    pub state: String,
    pub space: [Option<String>; 2],
    pub organization_guid: String,
    /// Guid, name, type.
    pub service_instance: [String; 3],
    pub service_plan: [Option<String>; 2],
    pub service_offering: [Option<String>; 2],
    pub service_broker: [Option<String>; 2],
    pub created_at: Timestamp,
}

/// One event.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &str) -> Result<Option<ServiceUsageEvent>> {
    let sql = format!("select {COLUMNS} from service_usage_events e where e.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], event).optional()?)
}

/// A page of events.
pub(crate) fn list(tx: &ReadTx<'_>, query: &ListQuery) -> Result<Listed<ServiceUsageEvent>> {
    let mut select = Select::from("service_usage_events e");
    query.filter_common(&mut select, "e", None)?;
    query.filter(
        &mut select,
        "service_instance_types",
        "e.service_instance_type",
    );
    query.filter(
        &mut select,
        "service_offering_guids",
        "e.service_offering_guid",
    );
    if let Some(guid) = query.raw("after_guid") {
        let id: Option<i64> = tx
            .sql()
            .prepare_cached("select id from service_usage_events where guid = ?1")?
            .query_row([guid], |row| row.get(0))
            .optional()?;
        let id = id.ok_or_else(|| {
            Error::unprocessable("After guid filter must be a valid service usage event guid.")
        })?;
        select.and("e.id > ?", [id]);
    }
    list_by_id(
        tx,
        &select,
        Columns {
            alias: "e",
            names: COLUMNS,
        },
        query,
        event,
    )
}

/// What an event tells of the instance `i`.
const OF_INSTANCE: &str = "s.guid, s.name, s.organization_guid, i.guid, i.name, \
    iif(i.type = 'managed', 'managed_service_instance', 'user_provided_service_instance'), \
    p.guid, p.name, o.guid, o.name, b.guid, b.name";
const INSTANCES: &str = "service_instances i join spaces s on s.guid = i.space_guid \
    left join service_plans p on p.guid = i.plan_guid left join service_offerings o on o.guid = p.offering_guid \
    left join service_brokers b on b.guid = o.broker_guid";
const WRITTEN: &str = "space_guid, space_name, organization_guid, service_instance_guid, service_instance_name, \
    service_instance_type, service_plan_guid, service_plan_name, service_offering_guid, service_offering_name, \
    service_broker_guid, service_broker_name";

/// Writes an event about an instance as it is.
pub(crate) fn insert(
    tx: &WriteTx<'_>,
    guid: &str,
    state: &str,
    instance: &ServiceInstanceGuid,
    now: Timestamp,
) -> Result<()> {
    let sql = format!(
        "insert into service_usage_events (guid, state, created_at, {WRITTEN}) \
         select ?1, ?2, ?3, {OF_INSTANCE} from {INSTANCES} where i.guid = ?4"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    statement.execute(params![guid, state, now, instance])?;
    Ok(())
}

/// Deletes all events and writes new ones for the existing instances; like CC, these events have
/// the guids of their instances.
pub(crate) fn reseed(tx: &WriteTx<'_>, now: Timestamp) -> Result<()> {
    tx.sql().execute("delete from service_usage_events", [])?;
    let sql = format!(
        "insert into service_usage_events (guid, state, created_at, {WRITTEN}) \
         select i.guid, 'CREATED', ?1, {OF_INSTANCE} from {INSTANCES} order by i.created_at, i.guid"
    );
    tx.sql().prepare_cached(&sql)?.execute([now])?;
    Ok(())
}

fn event(row: &Row<'_>) -> rusqlite::Result<ServiceUsageEvent> {
    Ok(ServiceUsageEvent {
        guid: row.get(0)?,
        state: row.get(1)?,
        space: [row.get(2)?, row.get(3)?],
        organization_guid: row.get(4)?,
        service_instance: [row.get(5)?, row.get(6)?, row.get(7)?],
        service_plan: [row.get(8)?, row.get(9)?],
        service_offering: [row.get(10)?, row.get(11)?],
        service_broker: [row.get(12)?, row.get(13)?],
        created_at: row.get(14)?,
    })
}
