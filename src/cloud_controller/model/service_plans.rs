//! SQL of `service_plans` and `service_plan_visibilities`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::base::guid::{OrganizationGuid, ServiceBrokerGuid, ServicePlanGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::marketplace_access::limit_plans;
use crate::cloud_controller::model::service_offerings::{
    OFFERING_COLUMNS, ServiceOffering, json, offering,
};
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::query::{Columns, ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

const OWN_COLUMNS: &str = "p.guid, p.catalog_id, p.name, p.description, p.public, p.available, p.free, p.bindable, \
    p.plan_updateable, p.maximum_polling_duration, p.maintenance_info, p.metadata, p.create_instance_schema, \
    p.update_instance_schema, p.create_binding_schema, p.created_at, p.updated_at, \
    exists (select 1 from service_plan_visibilities v where v.plan_guid = p.guid)";
const FROM: &str = "service_plans p join service_offerings o on o.guid = p.offering_guid \
                    join service_brokers b on b.guid = o.broker_guid";

/// A stored plan with its offering.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are the catalog's")]
pub(crate) struct ServicePlan {
    pub guid: ServicePlanGuid,
    pub offering: ServiceOffering,
    /// The broker's id for it.
    pub catalog_id: String,
    pub name: String,
    pub description: String,
    pub public: bool,
    pub available: bool,
    pub free: bool,
    /// `None` = as the offering says.
    pub bindable: Option<bool>,
    pub plan_updateable: Option<bool>,
    /// Seconds.
    pub maximum_polling_duration: Option<i64>,
    pub maintenance_info: Option<Map<String, Value>>,
    pub metadata: Option<Map<String, Value>>,
    pub create_instance_schema: Option<Value>,
    pub update_instance_schema: Option<Value>,
    pub create_binding_schema: Option<Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Whether it is visible in some organizations.
    pub in_organizations: bool,
}

impl ServicePlan {
    /// Whether instances can be bound.
    pub(crate) fn is_bindable(&self) -> bool {
        self.bindable.unwrap_or(self.offering.bindable)
    }

    /// Whether instances can change to another plan.
    pub(crate) fn is_plan_updateable(&self) -> bool {
        self.plan_updateable
            .unwrap_or(self.offering.plan_updateable)
    }

    /// The version of what the broker maintains.
    pub(crate) fn version(&self) -> Option<&str> {
        self.maintenance_info.as_ref()?.get("version")?.as_str()
    }

    /// `public`, `space`, `organization` or `admin`.
    pub(crate) fn visibility_type(&self) -> &'static str {
        if self.public {
            "public"
        } else if self.offering.broker_space.is_some() {
            "space"
        } else if self.in_organizations {
            "organization"
        } else {
            "admin"
        }
    }
}

fn columns() -> String {
    format!("{OWN_COLUMNS}, {OFFERING_COLUMNS}")
}

/// One plan, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &ServicePlanGuid) -> Result<Option<ServicePlan>> {
    let sql = format!("select {} from {FROM} where p.guid = ?1", columns());
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], plan).optional()?)
}

/// A plan the caller sees; `None` = nobody is signed in.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: Option<&Caller>,
    guid: &ServicePlanGuid,
) -> Result<Option<ServicePlan>> {
    let mut select = Select::from(FROM);
    limit_plans(
        &mut select,
        caller,
        &ListQuery::parse_single(None, &[], &[])?,
    );
    select.and("p.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(&columns(), ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), plan)
        .optional()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: Option<&Caller>,
    query: &ListQuery,
) -> Result<Listed<ServicePlan>> {
    let mut select = Select::from(FROM);
    limit_plans(&mut select, caller, query);
    query.filter_common(&mut select, "p", Some(ResourceType::ServicePlan))?;
    query.filter(&mut select, "names", "p.name");
    query.filter(&mut select, "broker_catalog_ids", "p.catalog_id");
    query.filter(&mut select, "service_offering_guids", "o.guid");
    query.filter(&mut select, "service_offering_names", "o.name");
    query.filter(&mut select, "service_broker_guids", "b.guid");
    query.filter(&mut select, "service_broker_names", "b.name");
    query.filter_through(
        &mut select,
        "service_instance_guids",
        "p.guid",
        "select plan_guid from service_instances where guid",
    );
    if let Some(available) = query.raw("available") {
        select.and("p.available = ?", [i64::from(available == "true")]);
    }
    let names = columns();
    let columns = Columns {
        alias: "p",
        names: &names,
    };
    list(tx, &select, columns, query, plan)
}

/// Plans by guid, for `fields`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<ServicePlan>> {
    let mut select = Select::from(FROM);
    select.and_in("p.guid", guids);
    many(tx, &select)
}

/// All plans of a broker.
pub(crate) fn of_broker(tx: &ReadTx<'_>, broker: &ServiceBrokerGuid) -> Result<Vec<ServicePlan>> {
    let mut select = Select::from(FROM);
    select.and("o.broker_guid = ?", [broker.to_string()]);
    many(tx, &select)
}

/// All plans of an offering.
pub(crate) fn of_offering(tx: &ReadTx<'_>, guid: &str) -> Result<Vec<ServicePlan>> {
    let mut select = Select::from(FROM);
    select.and("o.guid = ?", [guid.to_owned()]);
    many(tx, &select)
}

fn many(tx: &ReadTx<'_>, select: &Select) -> Result<Vec<ServicePlan>> {
    let sql = select.sql(&columns(), "order by p.created_at, p.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(select.values()), plan)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether there are instances of a plan.
pub(crate) fn has_instances(tx: &ReadTx<'_>, guid: &ServicePlanGuid) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from service_instances where plan_guid = ?1")?;
    Ok(statement.exists([guid])?)
}

/// Whether instances of an available plan may be made in a space.
pub(crate) fn is_visible_in(tx: &ReadTx<'_>, plan: &ServicePlan, space: &Space) -> Result<bool> {
    if !plan.available {
        return Ok(false);
    }
    if plan.public || plan.offering.broker_space.as_ref() == Some(&space.guid) {
        return Ok(true);
    }
    let mut statement = tx.sql().prepare_cached(
        "select 1 from service_plan_visibilities where plan_guid = ?1 and organization_guid = ?2",
    )?;
    Ok(statement.exists(params![plan.guid, space.organization_guid])?)
}

/// Stores a plan, or what changed of it.
pub(crate) fn save(tx: &WriteTx<'_>, plan: &ServicePlan) -> Result<()> {
    let object = |map: &Option<Map<String, Value>>| {
        let map = map.clone();
        map.map(|map| Value::Object(map).to_string())
    };
    let schema = |schema: &Option<Value>| schema.as_ref().map(Value::to_string);
    tx.sql()
        .prepare_cached(
            "insert into service_plans (guid, offering_guid, catalog_id, name, description, public, available, free, \
             bindable, plan_updateable, maximum_polling_duration, maintenance_info, metadata, \
             create_instance_schema, update_instance_schema, create_binding_schema, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) \
             on conflict (guid) do update set name = ?4, description = ?5, public = ?6, available = ?7, free = ?8, \
             bindable = ?9, plan_updateable = ?10, maximum_polling_duration = ?11, maintenance_info = ?12, \
             metadata = ?13, create_instance_schema = ?14, update_instance_schema = ?15, \
             create_binding_schema = ?16, updated_at = ?18",
        )?
        .execute(params![
            plan.guid,
            plan.offering.guid,
            plan.catalog_id,
            plan.name,
            plan.description,
            plan.public,
            plan.available,
            plan.free,
            plan.bindable,
            plan.plan_updateable,
            plan.maximum_polling_duration,
            object(&plan.maintenance_info),
            object(&plan.metadata),
            schema(&plan.create_instance_schema),
            schema(&plan.update_instance_schema),
            schema(&plan.create_binding_schema),
            plan.created_at,
            plan.updated_at,
        ])?;
    Ok(())
}

/// Deletes a plan.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &ServicePlanGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_plans where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// The organizations a plan is visible in, as far as the caller sees them.
pub(crate) fn organizations(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &ServicePlanGuid,
) -> Result<Vec<(OrganizationGuid, String)>> {
    let mut select = Select::from(
        "service_plan_visibilities v join organizations o on o.guid = v.organization_guid",
    );
    select.and("v.plan_guid = ?", [guid.to_string()]);
    caller.limit_to_visible_organizations(&mut select, "o.guid");
    let sql = select.sql("o.guid, o.name", "order by o.created_at, o.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Makes a plan visible in an organization.
pub(crate) fn show_in(
    tx: &WriteTx<'_>,
    guid: &ServicePlanGuid,
    organization: &OrganizationGuid,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into service_plan_visibilities (plan_guid, organization_guid) values (?1, ?2) \
             on conflict do nothing",
        )?
        .execute(params![guid, organization])?;
    Ok(())
}

/// Ends that; whether it was.
pub(crate) fn hide_in(
    tx: &WriteTx<'_>,
    guid: &ServicePlanGuid,
    organization: &OrganizationGuid,
) -> Result<bool> {
    let hidden = tx
        .sql()
        .prepare_cached(
            "delete from service_plan_visibilities where plan_guid = ?1 and organization_guid = ?2",
        )?
        .execute(params![guid, organization])?;
    Ok(hidden > 0)
}

/// Ends it for all organizations.
pub(crate) fn hide_in_all(tx: &WriteTx<'_>, guid: &ServicePlanGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_plan_visibilities where plan_guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn plan(row: &Row<'_>) -> rusqlite::Result<ServicePlan> {
    const OWN: usize = 18;
    Ok(ServicePlan {
        guid: row.get(0)?,
        catalog_id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        public: row.get(4)?,
        available: row.get(5)?,
        free: row.get(6)?,
        bindable: row.get(7)?,
        plan_updateable: row.get(8)?,
        maximum_polling_duration: row.get(9)?,
        maintenance_info: json(row, 10)?,
        metadata: json(row, 11)?,
        create_instance_schema: json(row, 12)?,
        update_instance_schema: json(row, 13)?,
        create_binding_schema: json(row, 14)?,
        created_at: row.get(15)?,
        updated_at: row.get(16)?,
        in_organizations: row.get(17)?,
        offering: offering(row, OWN)?,
    })
}
