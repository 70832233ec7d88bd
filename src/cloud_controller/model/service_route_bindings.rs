//! SQL of `service_route_bindings`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{RouteBindingGuid, RouteGuid, ServiceInstanceGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::last_operations::{
    LastOperation, OperationState, OperationType,
};
use crate::cloud_controller::query::{Columns, ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "x.guid, x.route_guid, x.service_instance_guid, x.route_service_url, x.operation_type, \
    x.operation_state, x.operation_description, x.operation_created_at, x.operation_updated_at, x.created_at, \
    x.updated_at, r.space_guid, i.type, i.name";
const FROM: &str = "service_route_bindings x join routes r on r.guid = x.route_guid \
                    join service_instances i on i.guid = x.service_instance_guid";

/// A stored binding with what is mostly asked of its route and its instance.
#[derive(Debug, Clone)]
pub(crate) struct RouteBinding {
    pub guid: RouteBindingGuid,
    pub route_guid: RouteGuid,
    pub instance_guid: ServiceInstanceGuid,
    pub route_service_url: Option<String>,
    pub last_operation: Option<LastOperation>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The route's.
    pub space_guid: SpaceGuid,
    pub is_managed: bool,
    pub instance_name: String,
}

impl RouteBinding {
    /// Whether its last operation is this.
    pub(crate) fn is(&self, kind: OperationType, state: OperationState) -> bool {
        let last = self.last_operation.as_ref();
        last.is_some_and(|last| last.is(kind, state))
    }

    /// Whether it is being made.
    pub(crate) fn is_being_created(&self) -> bool {
        let last = self.last_operation.as_ref();
        last.is_some_and(|last| last.kind == OperationType::Create && last.is_open())
    }

    /// Whether it can be used.
    pub(crate) fn create_succeeded(&self) -> bool {
        self.last_operation.is_none() || self.is(OperationType::Create, OperationState::Succeeded)
    }

    /// Whether it is being deleted.
    pub(crate) fn is_being_deleted(&self) -> bool {
        let last = self.last_operation.as_ref();
        last.is_some_and(|last| last.kind == OperationType::Delete && last.is_open())
    }
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    caller.limit_to_visible_spaces(&mut select, "r.space_guid");
    select
}

/// A binding the caller sees, or 404.
pub(crate) fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &RouteBindingGuid,
) -> Result<RouteBinding> {
    let mut select = visible(caller);
    select.and("x.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), binding)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Service route binding"))
}

/// A binding, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &RouteBindingGuid) -> Result<Option<RouteBinding>> {
    Ok(many(tx, "x.guid = ?1", guid.as_str())?.pop())
}

/// The binding of a route.
pub(crate) fn of_route(tx: &ReadTx<'_>, route: &RouteGuid) -> Result<Option<RouteBinding>> {
    Ok(many(tx, "x.route_guid = ?1", route.as_str())?.pop())
}

/// The bindings of an instance, oldest first.
pub(crate) fn of_instance(
    tx: &ReadTx<'_>,
    instance: &ServiceInstanceGuid,
) -> Result<Vec<RouteBinding>> {
    many(tx, "x.service_instance_guid = ?1", instance.as_str())
}

/// The bindings of the routes of a space, oldest first.
pub(crate) fn in_space(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<Vec<RouteBinding>> {
    many(tx, "r.space_guid = ?1", space.as_str())
}

fn many(tx: &ReadTx<'_>, condition: &str, value: &str) -> Result<Vec<RouteBinding>> {
    let sql =
        format!("select {COLUMNS} from {FROM} where {condition} order by x.created_at, x.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([value], binding)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<RouteBinding>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "x", Some(ResourceType::ServiceRouteBinding))?;
    query.filter(&mut select, "route_guids", "x.route_guid");
    query.filter(
        &mut select,
        "service_instance_guids",
        "x.service_instance_guid",
    );
    query.filter(&mut select, "service_instance_names", "i.name");
    let columns = Columns {
        alias: "x",
        names: COLUMNS,
    };
    list(tx, &select, columns, query, binding)
}

/// Stores a new binding.
pub(crate) fn insert(tx: &WriteTx<'_>, binding: &RouteBinding) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into service_route_bindings (guid, route_guid, service_instance_guid, route_service_url, \
             created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?5)",
        )?
        .execute(params![
            binding.guid,
            binding.route_guid,
            binding.instance_guid,
            binding.route_service_url,
            binding.created_at,
        ])?;
    Ok(())
}

/// Sets where requests to the route go first, and the time of change.
pub(crate) fn set_url(
    tx: &WriteTx<'_>,
    guid: &RouteBindingGuid,
    url: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update service_route_bindings set route_service_url = ?2, updated_at = ?3 where guid = ?1",
        )?
        .execute(params![guid, url, now])?;
    Ok(())
}

/// Deletes a binding.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &RouteBindingGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_route_bindings where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn binding(row: &Row<'_>) -> rusqlite::Result<RouteBinding> {
    Ok(RouteBinding {
        guid: row.get(0)?,
        route_guid: row.get(1)?,
        instance_guid: row.get(2)?,
        route_service_url: row.get(3)?,
        last_operation: LastOperation::from_row(row, 4)?,
        created_at: row.get(9)?,
        updated_at: row.get(10)?,
        space_guid: row.get(11)?,
        is_managed: row.get::<_, String>(12)? == "managed",
        instance_name: row.get(13)?,
    })
}
