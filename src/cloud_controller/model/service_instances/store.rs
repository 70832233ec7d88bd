//! SQL of `service_instances`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::{Map, Value};

use super::ServiceInstance;
use crate::base::guid::{ServiceInstanceGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::last_operations::LastOperation;
use crate::cloud_controller::model::service_offerings::json;
use crate::cloud_controller::query::{Columns, ListQuery, Listed, OneOf, Select, list};
use crate::db::{ReadTx, Vault, WriteTx, is_unique_violation};

const COLUMNS: &str = "i.guid, i.name, i.space_guid, i.plan_guid, i.tags, i.syslog_drain_url, \
    i.route_service_url, i.dashboard_url, i.maintenance_info, i.broker_metadata, i.operation_type, \
    i.operation_state, i.operation_description, i.operation_created_at, i.operation_updated_at, i.created_at, \
    i.updated_at";
const FROM: &str = "service_instances i join spaces s on s.guid = i.space_guid";

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    if let Some((spaces, [first, second])) = caller.visible_spaces() {
        let sql = format!(
            "i.space_guid in ({spaces}) or i.guid in \
             (select service_instance_guid from service_instance_shares where space_guid in ({spaces}))"
        );
        select.and(&sql, [first.clone(), second.clone(), first, second]);
    }
    select
}

/// An instance the caller sees, its own space's or one shared with a space.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &ServiceInstanceGuid,
) -> Result<Option<ServiceInstance>> {
    let mut select = visible(caller);
    select.and("i.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), instance)
        .optional()?)
}

/// The same, or 404.
pub(crate) fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &ServiceInstanceGuid,
) -> Result<ServiceInstance> {
    find_visible(tx, caller, guid)?.ok_or_else(|| Error::not_found("Service instance"))
}

/// An instance, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &ServiceInstanceGuid) -> Result<Option<ServiceInstance>> {
    Ok(many(tx, "i.guid = ?1", guid.as_str())?.pop())
}

/// The instances of a space.
pub(crate) fn in_space(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<Vec<ServiceInstance>> {
    many(tx, "i.space_guid = ?1", space.as_str())
}

/// The instances of an offering's plans.
pub(crate) fn of_offering(tx: &ReadTx<'_>, offering: &str) -> Result<Vec<ServiceInstance>> {
    many(
        tx,
        "i.plan_guid in (select guid from service_plans where offering_guid = ?1)",
        offering,
    )
}

fn many(tx: &ReadTx<'_>, condition: &str, value: &str) -> Result<Vec<ServiceInstance>> {
    let sql =
        format!("select {COLUMNS} from {FROM} where {condition} order by i.created_at, i.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([value], instance)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Instances by guid, for `include`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<ServiceInstance>> {
    let mut select = Select::from(FROM);
    select.and_in("i.guid", guids);
    let order = "order by i.created_at, i.guid";
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, order))?;
    let rows = statement.query_map(params_from_iter(select.values()), instance)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The instance with a name that apps of a space can use: its own, or one shared with it.
pub(crate) fn find_named(
    tx: &ReadTx<'_>,
    space: &SpaceGuid,
    name: &str,
) -> Result<Option<ServiceInstance>> {
    let sql = format!(
        "select {COLUMNS} from {FROM} where i.name = ?2 and (i.space_guid = ?1 or i.guid in \
         (select service_instance_guid from service_instance_shares where space_guid = ?1))"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement
        .query_row(params![space, name], instance)
        .optional()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<ServiceInstance>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "i", Some(ResourceType::ServiceInstance))?;
    query.filter(&mut select, "names", "i.name");
    query.filter(&mut select, "service_plan_guids", "i.plan_guid");
    query.filter_through(
        &mut select,
        "service_plan_names",
        "i.plan_guid",
        "select guid from service_plans where name",
    );
    if let Some(kind) = query.raw("type") {
        select.and("i.type = ?", [kind.to_owned()]);
    }
    if let Some(spaces) = query.values("space_guids") {
        let one = OneOf::texts(&spaces);
        let sql = format!(
            "i.space_guid {0} or i.guid in \
             (select service_instance_guid from service_instance_shares where space_guid {0})",
            one.sql()
        );
        select.and(&sql, [one.value(), one.value()]);
    }
    if let Some(organizations) = query.values("organization_guids") {
        let one = OneOf::texts(&organizations);
        let sql = format!(
            "s.organization_guid {0} or i.guid in (select x.service_instance_guid from service_instance_shares x \
             join spaces t on t.guid = x.space_guid where t.organization_guid {0})",
            one.sql()
        );
        select.and(&sql, [one.value(), one.value()]);
    }
    let columns = Columns {
        alias: "i",
        names: COLUMNS,
    };
    list(tx, &select, columns, query, instance)
}

/// Whether an instance of a space, or one shared with it, has this name.
pub(crate) fn is_taken(
    tx: &ReadTx<'_>,
    space: &SpaceGuid,
    name: &str,
    except: &ServiceInstanceGuid,
) -> Result<bool> {
    let found = find_named(tx, space, name)?;
    Ok(found.is_some_and(|instance| instance.guid != *except))
}

/// How many managed instances there are in a space, and in its organization.
pub(crate) fn counts(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<(i64, i64)> {
    let mut statement = tx.sql().prepare_cached(
        "select count(*) filter (where i.space_guid = ?1), count(*) from service_instances i \
         join spaces s on s.guid = i.space_guid where i.type = 'managed' and s.organization_guid = \
         (select organization_guid from spaces where guid = ?1)",
    )?;
    Ok(statement.query_row([space], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Stores a new instance.
pub(crate) fn insert(tx: &WriteTx<'_>, instance: &ServiceInstance) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into service_instances (guid, name, space_guid, type, plan_guid, tags, syslog_drain_url, \
             route_service_url, maintenance_info, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
        )?
        .execute(params![
            instance.guid,
            instance.name,
            instance.space_guid,
            instance.kind(),
            instance.plan_guid,
            serde_json::to_string(&instance.tags)?,
            instance.syslog_drain_url,
            instance.route_service_url,
            object(instance.maintenance_info.as_ref()),
            instance.created_at,
        ]);
    name_taken(done, &instance.name)
}

/// Updates everything but credentials, space and operation.
pub(crate) fn update(tx: &WriteTx<'_>, instance: &ServiceInstance) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "update service_instances set name = ?2, plan_guid = ?3, tags = ?4, syslog_drain_url = ?5, \
             route_service_url = ?6, dashboard_url = ?7, maintenance_info = ?8, broker_metadata = ?9, \
             updated_at = ?10 where guid = ?1",
        )?
        .execute(params![
            instance.guid,
            instance.name,
            instance.plan_guid,
            serde_json::to_string(&instance.tags)?,
            instance.syslog_drain_url,
            instance.route_service_url,
            instance.dashboard_url,
            object(instance.maintenance_info.as_ref()),
            object(instance.broker_metadata.as_ref()),
            instance.updated_at,
        ]);
    name_taken(done, &instance.name)
}

/// Replaces the credentials of a user-provided instance.
pub(crate) fn set_credentials(
    tx: &WriteTx<'_>,
    vault: &Vault,
    guid: &ServiceInstanceGuid,
    credentials: &Map<String, Value>,
) -> Result<()> {
    let sealed = vault.encrypt(&serde_json::to_vec(credentials)?)?;
    tx.sql()
        .prepare_cached("update service_instances set credentials = ?2 where guid = ?1")?
        .execute(params![guid, sealed])?;
    Ok(())
}

/// The credentials of a user-provided instance.
pub(crate) fn credentials(
    tx: &ReadTx<'_>,
    vault: &Vault,
    guid: &ServiceInstanceGuid,
) -> Result<Map<String, Value>> {
    let sealed: Option<Vec<u8>> = tx
        .sql()
        .prepare_cached("select credentials from service_instances where guid = ?1")?
        .query_row([guid], |row| row.get(0))?;
    match sealed {
        None => Ok(Map::new()),
        Some(sealed) => Ok(serde_json::from_slice(&vault.decrypt(&sealed)?)?),
    }
}

/// Deletes an instance without bindings.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &ServiceInstanceGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_instances where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn object(map: Option<&Map<String, Value>>) -> Option<String> {
    map.map(|map| Value::Object(map.clone()).to_string())
}

fn name_taken(done: rusqlite::Result<usize>, name: &str) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(taken(name)),
        Err(error) => Err(error.into()),
    }
}

/// 422: the name is another one's.
pub(crate) fn taken(name: &str) -> Error {
    Error::unprocessable(format!("The service instance name is taken: {name}."))
}

fn instance(row: &Row<'_>) -> rusqlite::Result<ServiceInstance> {
    Ok(ServiceInstance {
        guid: row.get(0)?,
        name: row.get(1)?,
        space_guid: row.get(2)?,
        plan_guid: row.get(3)?,
        tags: json(row, 4)?.unwrap_or_default(),
        syslog_drain_url: row.get(5)?,
        route_service_url: row.get(6)?,
        dashboard_url: row.get(7)?,
        maintenance_info: json(row, 8)?,
        broker_metadata: json(row, 9)?,
        last_operation: LastOperation::from_row(row, 10)?,
        created_at: row.get(15)?,
        updated_at: row.get(16)?,
    })
}
