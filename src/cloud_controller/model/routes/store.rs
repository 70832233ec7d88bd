//! SQL of `routes` and `route_shared_spaces`.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::{Map, Value};

use super::{Route, RoutePlace, RouteProtocol};
use crate::base::guid::{
    AppGuid, DomainGuid, OrganizationGuid, RouteGuid, RouterGroupGuid, SpaceGuid,
};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{Column, ListQuery, Listed, OneOf, Select, list};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "r.guid, r.space_guid, r.domain_guid, d.name, r.host, r.path, r.port, r.options, \
                       r.created_at, r.updated_at, d.router_group_guid is not null";
/// Every route has its domain; the outer join is removed where no condition uses it.
const FROM: &str = "routes r left join domains d on d.guid = r.domain_guid";

/// Spaces whose routes a user sees: own spaces, and those of organizations managed or audited.
const READABLE: &str = "select space_guid from roles where user_guid = ? and space_guid is not null \
    union select s.guid from spaces s join roles o on o.organization_guid = s.organization_guid \
    where o.user_guid = ? and o.type in ('organization_manager', 'organization_auditor')";

/// Which routes count as visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Those of visible spaces.
    Own,
    /// Also those shared with visible spaces.
    Shared,
}

fn visible(caller: &Caller, reach: Reach) -> Select {
    let mut select = Select::from(FROM);
    if caller.sees_all() {
        return select;
    }
    let column = Column::scanned("r.space_guid");
    let own = format!("in ({READABLE})");
    let user = caller.guid.to_string();
    match reach {
        Reach::Own => select.and_column(column, &own, [user.clone(), user]),
        Reach::Shared => select.and_column(
            column,
            &format!(
                "{own} or +r.guid in (select route_guid from route_shared_spaces where space_guid in ({READABLE}))"
            ),
            [user.clone(), user.clone(), user.clone(), user],
        ),
    }
    select
}

/// A route the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &RouteGuid,
) -> Result<Option<Route>> {
    let mut select = visible(caller, Reach::Own);
    select.and("r.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), route)
        .optional()?)
}

/// The same, or 404.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &RouteGuid) -> Result<Route> {
    find_visible(tx, caller, guid)?.ok_or_else(|| Error::not_found("Route"))
}

/// A route, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &RouteGuid) -> Result<Option<Route>> {
    Ok(many(tx, "r.guid = ?1", guid.as_str())?.pop())
}

/// The route at this place of a domain, without an access check.
pub(crate) fn find_at(
    tx: &ReadTx<'_>,
    domain: &DomainGuid,
    place: RoutePlace<'_>,
) -> Result<Option<Route>> {
    let sql = format!(
        "select {COLUMNS} from {FROM} where r.domain_guid = ?1 and r.host = ?2 and r.path = ?3 and r.port = ?4"
    );
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row(params![domain, place.host, place.path, place.port], route)
        .optional()?)
}

/// Whether a route exists at this place of a domain.
pub(crate) fn is_reserved(
    tx: &ReadTx<'_>,
    domain: &DomainGuid,
    place: RoutePlace<'_>,
) -> Result<bool> {
    Ok(find_at(tx, domain, place)?.is_some())
}

/// All routes of a space.
pub(crate) fn in_space(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<Vec<Route>> {
    many(tx, "r.space_guid = ?1", space.as_str())
}

/// All routes of a domain.
pub(crate) fn of_domain(tx: &ReadTx<'_>, domain: &DomainGuid) -> Result<Vec<Route>> {
    many(tx, "r.domain_guid = ?1", domain.as_str())
}

/// The routes that lead to an app, oldest first.
pub(crate) fn of_app(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Vec<Route>> {
    many(
        tx,
        "r.guid in (select route_guid from destinations where app_guid = ?1)",
        app.as_str(),
    )
}

/// The routes of a space without destinations and route service.
pub(crate) fn unmapped_in_space(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<Vec<Route>> {
    many(
        tx,
        "r.space_guid = ?1 and not exists (select 1 from destinations t where t.route_guid = r.guid) \
         and not exists (select 1 from service_route_bindings b where b.route_guid = r.guid)",
        space.as_str(),
    )
}

fn many(tx: &ReadTx<'_>, condition: &str, value: &str) -> Result<Vec<Route>> {
    let sql =
        format!("select {COLUMNS} from {FROM} where {condition} order by r.created_at, r.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([value], route)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of those the caller sees; with `app` only those that lead to it.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    app: Option<&AppGuid>,
) -> Result<Listed<Route>> {
    let mut select = visible(caller, Reach::Shared);
    if let Some(app) = app {
        let sql = "r.guid in (select route_guid from destinations where app_guid = ?)";
        select.and(sql, [app.to_string()]);
    }
    query.filter_common(&mut select, "r", Some(ResourceType::Route))?;
    query.filter(&mut select, "hosts", "r.host");
    query.filter(&mut select, "paths", Column::scanned("r.path"));
    query.filter(
        &mut select,
        "domain_guids",
        Column::scanned("r.domain_guid"),
    );
    filter_ports(&mut select, query);
    query.filter_through(
        &mut select,
        "organization_guids",
        Column::scanned("r.space_guid"),
        "select guid from spaces where organization_guid",
    );
    query.filter_through(
        &mut select,
        "app_guids",
        "r.guid",
        "select route_guid from destinations where app_guid",
    );
    query.filter_through(
        &mut select,
        "service_instance_guids",
        "r.guid",
        "select route_guid from service_route_bindings where service_instance_guid",
    );
    if let Some(spaces) = query.values("space_guids") {
        let one = OneOf::texts(&spaces);
        let rest = format!(
            "{0} or +r.guid in (select route_guid from route_shared_spaces where space_guid {0})",
            one.sql()
        );
        let values = [one.value(), one.value()];
        select.and_column(Column::scanned("r.space_guid"), &rest, values);
    }
    list(
        tx,
        &select,
        Columns {
            alias: "r",
            names: COLUMNS,
        },
        query,
        route,
    )
}

/// `ports=` selects routes without one; an invalid port matches no route.
fn filter_ports(select: &mut Select, query: &ListQuery) {
    let Some(values) = query.values("ports") else {
        return;
    };
    let ports: Vec<i64> = values
        .iter()
        .map(|value| match value.as_str() {
            "" => 0,
            text => text.parse().unwrap_or(-1),
        })
        .collect();
    let one = OneOf::numbers(&ports);
    select.and_column("r.port", one.sql(), [one.value()]);
}

/// Whether `fqdn` is host and domain of a route.
pub(crate) fn is_host_of_a_route(tx: &ReadTx<'_>, fqdn: &str) -> Result<bool> {
    let Some((host, domain)) = fqdn.split_once('.') else {
        return Ok(false);
    };
    let mut statement = tx.sql().prepare_cached(
        "select 1 from routes r join domains d on d.guid = r.domain_guid where r.host = ?1 and d.name = ?2",
    )?;
    Ok(statement.exists([host, domain])?)
}

/// Whether an organization has routes of a domain.
pub(crate) fn has_routes_in(
    tx: &ReadTx<'_>,
    domain: &DomainGuid,
    organization: &OrganizationGuid,
) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from routes r join spaces s on s.guid = r.space_guid \
         where r.domain_guid = ?1 and s.organization_guid = ?2",
    )?;
    Ok(statement.exists(params![domain, organization])?)
}

/// Whether another space has a route with this host, whatever its path.
pub(crate) fn is_host_in_other_space(
    tx: &ReadTx<'_>,
    domain: &DomainGuid,
    host: &str,
    space: &SpaceGuid,
) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from routes where domain_guid = ?1 and host = ?2 and port = 0 and space_guid <> ?3",
    )?;
    Ok(statement.exists(params![domain, host, space])?)
}

/// How many there are, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub used: i64,
    pub limit: Option<i64>,
}

impl Count {
    /// Whether there may not be one more.
    pub(crate) fn is_full(self) -> bool {
        self.limit.is_some_and(|limit| self.used >= limit)
    }
}

/// Routes of a space and its organization, and how many of them have a port.
pub(crate) struct RouteCounts {
    pub space: Count,
    pub organization: Count,
    pub space_ports: Count,
    pub organization_ports: Count,
}

/// Counts and limits of a space and its organization.
pub(crate) fn counts(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<RouteCounts> {
    let mut statement = tx.sql().prepare_cached(
        "select (select count(*) from routes where space_guid = s.guid), z.total_routes, \
         (select count(*) from routes r join spaces n on n.guid = r.space_guid \
          where n.organization_guid = s.organization_guid), q.total_routes, \
         (select count(*) from routes where space_guid = s.guid and port > 0), z.total_reserved_ports, \
         (select count(*) from routes r join spaces n on n.guid = r.space_guid \
          where n.organization_guid = s.organization_guid and r.port > 0), q.total_reserved_ports \
         from spaces s join organizations o on o.guid = s.organization_guid \
         join organization_quotas q on q.guid = o.quota_guid \
         left join space_quotas z on z.guid = s.quota_guid where s.guid = ?1",
    )?;
    Ok(statement.query_row([space], |row| {
        let count = |at: usize| -> rusqlite::Result<Count> {
            Ok(Count {
                used: row.get(at)?,
                limit: row.get(at + 1)?,
            })
        };
        Ok(RouteCounts {
            space: count(0)?,
            organization: count(2)?,
            space_ports: count(4)?,
            organization_ports: count(6)?,
        })
    })?)
}

/// The ports that routes of a router group have, whatever their domain.
pub(crate) fn ports_of_group(tx: &ReadTx<'_>, group: &RouterGroupGuid) -> Result<BTreeSet<u16>> {
    let mut statement = tx.sql().prepare_cached(
        "select r.port from routes r join domains d on d.guid = r.domain_guid \
         where r.port > 0 and d.router_group_guid = ?1",
    )?;
    let rows = statement.query_map([group], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores a new route.
pub(crate) fn insert(tx: &WriteTx<'_>, route: &Route) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into routes (guid, space_guid, domain_guid, host, path, port, options, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        )?
        .execute(params![
            route.guid,
            route.space_guid,
            route.domain_guid,
            route.host,
            route.path,
            route.port,
            Value::Object(route.options.clone()).to_string(),
            route.created_at,
        ])?;
    Ok(())
}

/// Updates a route.
pub(crate) fn update(tx: &WriteTx<'_>, route: &Route) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update routes set space_guid = ?2, options = ?3, updated_at = ?4 where guid = ?1",
        )?
        .execute(params![
            route.guid,
            route.space_guid,
            Value::Object(route.options.clone()).to_string(),
            route.updated_at,
        ])?;
    Ok(())
}

/// Deletes a route with its destinations.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &RouteGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from routes where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// The spaces a route is shared with.
pub(crate) fn shared_spaces(tx: &ReadTx<'_>, guid: &RouteGuid) -> Result<Vec<SpaceGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select s.guid from route_shared_spaces x join spaces s on s.guid = x.space_guid \
         where x.route_guid = ?1 order by s.created_at, s.guid",
    )?;
    let rows = statement.query_map([guid], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether apps of a space can be destinations of a route.
pub(crate) fn is_available_in(tx: &ReadTx<'_>, route: &Route, space: &SpaceGuid) -> Result<bool> {
    if route.space_guid == *space {
        return Ok(true);
    }
    let mut statement = tx.sql().prepare_cached(
        "select 1 from route_shared_spaces where route_guid = ?1 and space_guid = ?2",
    )?;
    Ok(statement.exists(params![route.guid, space])?)
}

/// Shares a route with a space.
pub(crate) fn share(tx: &WriteTx<'_>, guid: &RouteGuid, space: &SpaceGuid) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into route_shared_spaces (route_guid, space_guid) values (?1, ?2) on conflict do nothing",
        )?
        .execute(params![guid, space])?;
    Ok(())
}

/// Ends the sharing with a space.
pub(crate) fn unshare(tx: &WriteTx<'_>, guid: &RouteGuid, space: &SpaceGuid) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "delete from route_shared_spaces where route_guid = ?1 and space_guid = ?2",
        )?
        .execute(params![guid, space])?;
    Ok(())
}

/// Whether the caller sees this app.
pub(crate) fn sees_app(tx: &ReadTx<'_>, caller: &Caller, guid: &AppGuid) -> Result<bool> {
    let mut select = Select::from("apps a");
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select.and("a.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql("1", ""))?;
    Ok(statement.exists(params_from_iter(select.values()))?)
}

fn route(row: &Row<'_>) -> rusqlite::Result<Route> {
    let options: String = row.get(7)?;
    let options: Map<String, Value> = serde_json::from_str(&options).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(7, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Route {
        guid: row.get(0)?,
        space_guid: row.get(1)?,
        domain_guid: row.get(2)?,
        domain_name: row.get(3)?,
        protocol: if row.get(10)? {
            RouteProtocol::Tcp
        } else {
            RouteProtocol::Http
        },
        host: row.get(4)?,
        path: row.get(5)?,
        port: row.get(6)?,
        options,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
    })
}
