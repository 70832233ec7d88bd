//! SQL of `service_offerings`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::base::guid::{ServiceBrokerGuid, ServiceOfferingGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::marketplace_access::limit_offerings;
use crate::cloud_controller::query::{Columns, ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

/// Of the alias `o` and its broker `b`.
pub(crate) const OFFERING_COLUMNS: &str = "o.guid, o.broker_guid, o.catalog_id, o.name, o.description, o.available, \
    o.bindable, o.plan_updateable, o.instances_retrievable, o.bindings_retrievable, o.allow_context_updates, o.tags, \
    o.requires, o.metadata, o.created_at, o.updated_at, b.name, b.space_guid";

const FROM: &str = "service_offerings o join service_brokers b on b.guid = o.broker_guid";

/// A stored offering with what is mostly asked of its broker.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are the catalog's")]
pub(crate) struct ServiceOffering {
    pub guid: ServiceOfferingGuid,
    pub broker_guid: ServiceBrokerGuid,
    /// The broker's id for it.
    pub catalog_id: String,
    pub name: String,
    pub description: String,
    pub available: bool,
    pub bindable: bool,
    pub plan_updateable: bool,
    pub instances_retrievable: bool,
    pub bindings_retrievable: bool,
    pub allow_context_updates: bool,
    pub tags: Vec<String>,
    pub requires: Vec<String>,
    pub metadata: Option<Map<String, Value>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub broker_name: String,
    pub broker_space: Option<SpaceGuid>,
}

impl ServiceOffering {
    /// Whether the broker declares that it does this: `route_forwarding` and the like.
    pub(crate) fn requires(&self, what: &str) -> bool {
        self.requires.iter().any(|required| required == what)
    }

    /// Whether instances can be shared with other spaces.
    pub(crate) fn is_shareable(&self) -> bool {
        let metadata = self.metadata.as_ref();
        metadata.and_then(|map| map.get("shareable")) == Some(&Value::Bool(true))
    }
}

/// One offering, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &ServiceOfferingGuid) -> Result<Option<ServiceOffering>> {
    let sql = format!("select {OFFERING_COLUMNS} from {FROM} where o.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement
        .query_row([guid], |row| offering(row, 0))
        .optional()?)
}

/// An offering the caller sees; `None` = nobody is signed in.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: Option<&Caller>,
    guid: &ServiceOfferingGuid,
) -> Result<Option<ServiceOffering>> {
    let mut select = Select::from(FROM);
    limit_offerings(
        &mut select,
        caller,
        &ListQuery::parse_single(None, &[], &[])?,
    );
    select.and("o.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(OFFERING_COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), |row| offering(row, 0))
        .optional()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: Option<&Caller>,
    query: &ListQuery,
) -> Result<Listed<ServiceOffering>> {
    let mut select = Select::from(FROM);
    limit_offerings(&mut select, caller, query);
    query.filter_common(&mut select, "o", Some(ResourceType::ServiceOffering))?;
    query.filter(&mut select, "names", "o.name");
    query.filter(&mut select, "broker_catalog_ids", "o.catalog_id");
    query.filter(&mut select, "service_broker_guids", "o.broker_guid");
    query.filter(&mut select, "service_broker_names", "b.name");
    if let Some(available) = query.raw("available") {
        select.and("o.available = ?", [i64::from(available == "true")]);
    }
    let columns = Columns {
        alias: "o",
        names: OFFERING_COLUMNS,
    };
    list(tx, &select, columns, query, |row| offering(row, 0))
}

/// Offerings by guid, for `include` and `fields`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<ServiceOffering>> {
    let mut select = Select::from(FROM);
    select.and_in("o.guid", guids);
    many(tx, &select)
}

/// All offerings of a broker.
pub(crate) fn of_broker(
    tx: &ReadTx<'_>,
    broker: &ServiceBrokerGuid,
) -> Result<Vec<ServiceOffering>> {
    let mut select = Select::from(FROM);
    select.and("o.broker_guid = ?", [broker.to_string()]);
    many(tx, &select)
}

fn many(tx: &ReadTx<'_>, select: &Select) -> Result<Vec<ServiceOffering>> {
    let sql = select.sql(OFFERING_COLUMNS, "order by o.created_at, o.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| offering(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores an offering, or what changed of it.
pub(crate) fn save(tx: &WriteTx<'_>, offering: &ServiceOffering) -> Result<()> {
    let metadata = offering.metadata.clone().map(Value::Object);
    tx.sql()
        .prepare_cached(
            "insert into service_offerings (guid, broker_guid, catalog_id, name, description, available, bindable, \
             plan_updateable, instances_retrievable, bindings_retrievable, allow_context_updates, tags, requires, \
             metadata, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
             on conflict (guid) do update set name = ?4, description = ?5, available = ?6, bindable = ?7, \
             plan_updateable = ?8, instances_retrievable = ?9, bindings_retrievable = ?10, \
             allow_context_updates = ?11, tags = ?12, requires = ?13, metadata = ?14, updated_at = ?16",
        )?
        .execute(params![
            offering.guid,
            offering.broker_guid,
            offering.catalog_id,
            offering.name,
            offering.description,
            offering.available,
            offering.bindable,
            offering.plan_updateable,
            offering.instances_retrievable,
            offering.bindings_retrievable,
            offering.allow_context_updates,
            serde_json::to_string(&offering.tags)?,
            serde_json::to_string(&offering.requires)?,
            metadata.map(|value| value.to_string()),
            offering.created_at,
            offering.updated_at,
        ])?;
    Ok(())
}

/// Deletes an offering with its plans.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &ServiceOfferingGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_offerings where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Reads [`OFFERING_COLUMNS`] from column `at` on.
pub(crate) fn offering(row: &Row<'_>, at: usize) -> rusqlite::Result<ServiceOffering> {
    Ok(ServiceOffering {
        guid: row.get(at)?,
        broker_guid: row.get(at + 1)?,
        catalog_id: row.get(at + 2)?,
        name: row.get(at + 3)?,
        description: row.get(at + 4)?,
        available: row.get(at + 5)?,
        bindable: row.get(at + 6)?,
        plan_updateable: row.get(at + 7)?,
        instances_retrievable: row.get(at + 8)?,
        bindings_retrievable: row.get(at + 9)?,
        allow_context_updates: row.get(at + 10)?,
        tags: json(row, at + 11)?.unwrap_or_default(),
        requires: json(row, at + 12)?.unwrap_or_default(),
        metadata: json(row, at + 13)?,
        created_at: row.get(at + 14)?,
        updated_at: row.get(at + 15)?,
        broker_name: row.get(at + 16)?,
        broker_space: row.get(at + 17)?,
    })
}

/// A column with JSON, or null.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    at: usize,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(at)?;
    text.map(|text| {
        serde_json::from_str(&text).map_err(|error| {
            let kind = rusqlite::types::Type::Text;
            rusqlite::Error::FromSqlConversionFailure(at, kind, Box::new(error))
        })
    })
    .transpose()
}
