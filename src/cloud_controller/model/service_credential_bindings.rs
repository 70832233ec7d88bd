//! SQL of `service_credential_bindings`: bindings to apps, and keys.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, CredentialBindingGuid, ServiceInstanceGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::last_operations::{
    LastOperation, OperationState, OperationType,
};
use crate::cloud_controller::query::{Columns, ListQuery, Listed, Select, list};
use crate::db::{ReadTx, Vault, WriteTx};

const COLUMNS: &str = "c.guid, c.name, c.service_instance_guid, c.app_guid, c.syslog_drain_url, c.operation_type, \
    c.operation_state, c.operation_description, c.operation_created_at, c.operation_updated_at, c.created_at, \
    c.updated_at, coalesce(a.space_guid, i.space_guid), i.type, i.name, a.name";
const FROM: &str = "service_credential_bindings c join service_instances i on i.guid = c.service_instance_guid \
                    left join apps a on a.guid = c.app_guid";

/// A stored binding with what is mostly asked of its app and its instance.
#[derive(Debug, Clone)]
pub(crate) struct CredentialBinding {
    pub guid: CredentialBindingGuid,
    pub name: Option<String>,
    pub instance_guid: ServiceInstanceGuid,
    /// `None` = a key.
    pub app_guid: Option<AppGuid>,
    pub syslog_drain_url: Option<String>,
    pub last_operation: Option<LastOperation>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The app's, or the instance's.
    pub space_guid: SpaceGuid,
    pub is_managed: bool,
    pub instance_name: String,
    pub app_name: Option<String>,
}

/// What a binding gives, as it is stored.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub credentials: Option<Map<String, Value>>,
    pub volume_mounts: Option<Vec<Value>>,
}

impl CredentialBinding {
    /// `app` or `key`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.app_guid.is_some() {
            "app"
        } else {
            "key"
        }
    }

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
    caller.limit_to_visible_spaces(&mut select, "coalesce(a.space_guid, i.space_guid)");
    select
}

/// A binding the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &CredentialBindingGuid,
) -> Result<Option<CredentialBinding>> {
    let mut select = visible(caller);
    select.and("c.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), binding)
        .optional()?)
}

/// The same, or 404.
pub(crate) fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &CredentialBindingGuid,
) -> Result<CredentialBinding> {
    let found = find_visible(tx, caller, guid)?;
    found.ok_or_else(|| Error::not_found("Service credential binding"))
}

/// A binding, without an access check.
pub(crate) fn find(
    tx: &ReadTx<'_>,
    guid: &CredentialBindingGuid,
) -> Result<Option<CredentialBinding>> {
    Ok(many(tx, "c.guid = ?1", guid.as_str())?.pop())
}

/// The bindings of an app, oldest first.
pub(crate) fn of_app(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Vec<CredentialBinding>> {
    many(tx, "c.app_guid = ?1", app.as_str())
}

/// The bindings and keys of an instance, oldest first.
pub(crate) fn of_instance(
    tx: &ReadTx<'_>,
    instance: &ServiceInstanceGuid,
) -> Result<Vec<CredentialBinding>> {
    many(tx, "c.service_instance_guid = ?1", instance.as_str())
}

/// The bindings to apps of a space, oldest first.
pub(crate) fn of_apps_in_space(
    tx: &ReadTx<'_>,
    space: &SpaceGuid,
) -> Result<Vec<CredentialBinding>> {
    many(tx, "a.space_guid = ?1", space.as_str())
}

fn many(tx: &ReadTx<'_>, condition: &str, value: &str) -> Result<Vec<CredentialBinding>> {
    let sql =
        format!("select {COLUMNS} from {FROM} where {condition} order by c.created_at, c.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([value], binding)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<CredentialBinding>> {
    let mut select = visible(caller);
    query.filter_common(
        &mut select,
        "c",
        Some(ResourceType::ServiceCredentialBinding),
    )?;
    for (name, column) in [
        ("names", "c.name"),
        ("service_instance_guids", "c.service_instance_guid"),
        ("service_instance_names", "i.name"),
        ("app_guids", "c.app_guid"),
        ("app_names", "a.name"),
        ("service_plan_guids", "i.plan_guid"),
    ] {
        query.filter(&mut select, name, column);
    }
    for (name, inner) in [
        (
            "service_plan_names",
            "select guid from service_plans where name",
        ),
        (
            "service_offering_guids",
            "select guid from service_plans where offering_guid",
        ),
        (
            "service_offering_names",
            "select p.guid from service_plans p join service_offerings o on o.guid = p.offering_guid where o.name",
        ),
    ] {
        query.filter_through(&mut select, name, "i.plan_guid", inner);
    }
    if let Some(kind) = query.raw("type") {
        select.and("c.type = ?", [kind.to_owned()]);
    }
    let columns = Columns {
        alias: "c",
        names: COLUMNS,
    };
    list(tx, &select, columns, query, binding)
}

/// How many keys there are in a space, and in its organization.
pub(crate) fn key_counts(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<(i64, i64)> {
    let mut statement = tx.sql().prepare_cached(
        "select count(*) filter (where i.space_guid = ?1), count(*) from service_credential_bindings c \
         join service_instances i on i.guid = c.service_instance_guid join spaces s on s.guid = i.space_guid \
         where c.type = 'key' and s.organization_guid = (select organization_guid from spaces where guid = ?1)",
    )?;
    Ok(statement.query_row([space], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Stores a new binding.
pub(crate) fn insert(tx: &WriteTx<'_>, binding: &CredentialBinding) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into service_credential_bindings (guid, type, name, service_instance_guid, app_guid, \
             created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )?
        .execute(params![
            binding.guid,
            binding.kind(),
            binding.name,
            binding.instance_guid,
            binding.app_guid,
            binding.created_at,
        ])?;
    Ok(())
}

/// Stores what a binding gives; a comma in the URL of a drain separates URLs.
pub(crate) fn set_details(
    tx: &WriteTx<'_>,
    vault: &Vault,
    guid: &CredentialBindingGuid,
    drain: Option<&str>,
    secrets: &Secrets,
) -> Result<()> {
    let seal = |value: Option<Vec<u8>>| value.map(|json| vault.encrypt(&json)).transpose();
    let credentials = secrets.credentials.as_ref().map(serde_json::to_vec);
    let mounts = secrets.volume_mounts.as_ref().map(serde_json::to_vec);
    tx.sql()
        .prepare_cached(
            "update service_credential_bindings set credentials = ?2, syslog_drain_url = ?3, volume_mounts = ?4 \
             where guid = ?1",
        )?
        .execute(params![
            guid,
            seal(credentials.transpose()?)?,
            drain.map(|url| url.replace(',', "%2c")),
            seal(mounts.transpose()?)?,
        ])?;
    Ok(())
}

/// What a binding gives.
pub(crate) fn secrets(
    tx: &ReadTx<'_>,
    vault: &Vault,
    guid: &CredentialBindingGuid,
) -> Result<Secrets> {
    let (credentials, mounts): (Option<Vec<u8>>, Option<Vec<u8>>) = tx
        .sql()
        .prepare_cached(
            "select credentials, volume_mounts from service_credential_bindings where guid = ?1",
        )?
        .query_row([guid], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut secrets = Secrets::default();
    if let Some(sealed) = credentials {
        secrets.credentials = Some(serde_json::from_slice(&vault.decrypt(&sealed)?)?);
    }
    if let Some(sealed) = mounts {
        secrets.volume_mounts = Some(serde_json::from_slice(&vault.decrypt(&sealed)?)?);
    }
    Ok(secrets)
}

/// Sets the time of change.
pub(crate) fn touch(tx: &WriteTx<'_>, guid: &CredentialBindingGuid, now: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached("update service_credential_bindings set updated_at = ?2 where guid = ?1")?
        .execute(params![guid, now])?;
    Ok(())
}

/// Deletes a binding.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &CredentialBindingGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from service_credential_bindings where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

fn binding(row: &Row<'_>) -> rusqlite::Result<CredentialBinding> {
    Ok(CredentialBinding {
        guid: row.get(0)?,
        name: row.get(1)?,
        instance_guid: row.get(2)?,
        app_guid: row.get(3)?,
        syslog_drain_url: row.get(4)?,
        last_operation: LastOperation::from_row(row, 5)?,
        created_at: row.get(10)?,
        updated_at: row.get(11)?,
        space_guid: row.get(12)?,
        is_managed: row.get::<_, String>(13)? == "managed",
        instance_name: row.get(14)?,
        app_name: row.get(15)?,
    })
}
