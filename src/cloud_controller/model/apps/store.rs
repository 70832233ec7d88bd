//! SQL of `apps`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use super::{App, AppState, Feature, Features, Lifecycle, LifecycleType, Variables};
use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DropletGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{Column, ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{DbError, ReadTx, Vault, WriteTx};

const COLUMNS: &str = "a.guid, a.name, a.space_guid, a.state, a.lifecycle_type, a.lifecycle_buildpacks, \
                       a.lifecycle_stack, a.current_droplet_guid, a.ssh_enabled, a.revisions_enabled, \
                       a.service_binding_k8s_enabled, a.file_based_vcap_services_enabled, a.created_at, a.updated_at, \
                       a.lifecycle_credentials is not null";

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("apps a");
    caller.limit_to_visible_spaces(&mut select, Column::scanned("a.space_guid"));
    select
}

/// An app the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &AppGuid,
) -> Result<Option<App>> {
    let mut select = visible(caller);
    select.and("a.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), app)
        .optional()?)
}

/// The same, or 404 `App not found`.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &AppGuid) -> Result<App> {
    find_visible(tx, caller, guid)?.ok_or_else(|| Error::not_found("App"))
}

/// An app, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &AppGuid) -> Result<Option<App>> {
    let sql = format!("select {COLUMNS} from apps a where a.guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], app)
        .optional()?)
}

/// An app of a space by its name.
pub(crate) fn find_by_name(tx: &ReadTx<'_>, space: &SpaceGuid, name: &str) -> Result<Option<App>> {
    let sql = format!("select {COLUMNS} from apps a where a.space_guid = ?1 and a.name = ?2");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement
        .query_row(rusqlite::params![space, name], app)
        .optional()?)
}

/// All apps of a space.
pub(crate) fn in_space(tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<Vec<App>> {
    let sql = format!(
        "select {COLUMNS} from apps a where a.space_guid = ?1 order by a.created_at, a.guid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([space], app)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Apps by guid, for `include`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String]) -> Result<Vec<App>> {
    let mut select = Select::from("apps a");
    select.and_in("a.guid", guids);
    let order = "order by a.created_at, a.guid";
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, order))?;
    let rows = statement.query_map(params_from_iter(select.values()), app)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    lifecycle: Option<LifecycleType>,
    stack: Option<&str>,
) -> Result<Listed<App>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "a", Some(ResourceType::App))?;
    query.filter(&mut select, "names", "a.name");
    let space = Column::scanned("a.space_guid");
    query.filter(&mut select, "space_guids", space);
    query.filter_through(
        &mut select,
        "organization_guids",
        space,
        "select guid from spaces where organization_guid",
    );
    let column = Column::scanned("a.lifecycle_stack");
    match stack {
        Some(stack) => select.and_in(column, &[stack]),
        None => query.filter_nullable(&mut select, "stacks", column),
    }
    if let Some(kind) = lifecycle {
        select.and_in(Column::scanned("a.lifecycle_type"), &[kind.as_str()]);
    }
    list(
        tx,
        &select,
        Columns {
            alias: "a",
            names: COLUMNS,
        },
        query,
        app,
    )
}

/// Inserts a new app; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, app: &App) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into apps (guid, name, space_guid, state, lifecycle_type, lifecycle_buildpacks, \
             lifecycle_stack, created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        )?
        .execute(params![
            app.guid,
            app.name,
            app.space_guid,
            app.state.as_str(),
            app.lifecycle.kind.as_str(),
            Value::from(app.lifecycle.buildpacks.clone()).to_string(),
            app.lifecycle.stack,
            app.created_at,
        ]);
    name_taken(done, &app.name)
}

/// Updates an app except its environment.
pub(crate) fn update(tx: &WriteTx<'_>, app: &App) -> Result<()> {
    let [ssh, revisions, k8s, files] = Feature::ALL.map(|feature| app.features.on(feature));
    let done = tx
        .sql()
        .prepare_cached(
            "update apps set name = ?2, state = ?3, lifecycle_buildpacks = ?4, lifecycle_stack = ?5, \
             current_droplet_guid = ?6, ssh_enabled = ?7, revisions_enabled = ?8, service_binding_k8s_enabled = ?9, \
             file_based_vcap_services_enabled = ?10, updated_at = ?11 where guid = ?1",
        )?
        .execute(params![
            app.guid,
            app.name,
            app.state.as_str(),
            Value::from(app.lifecycle.buildpacks.clone()).to_string(),
            app.lifecycle.stack,
            app.current_droplet_guid,
            ssh,
            revisions,
            k8s,
            files,
            app.updated_at,
        ]);
    name_taken(done, &app.name)
}

/// The environment that users set.
pub(crate) fn environment(tx: &ReadTx<'_>, vault: &Vault, guid: &AppGuid) -> Result<Variables> {
    let sealed: Option<Option<Vec<u8>>> = tx
        .sql()
        .prepare_cached("select environment_variables from apps where guid = ?1")?
        .query_row([guid], |row| row.get(0))
        .optional()?;
    match sealed.flatten() {
        Some(sealed) => Ok(serde_json::from_slice(&vault.decrypt(&sealed)?)?),
        None => Ok(Variables::new()),
    }
}

/// Stores the environment, encrypted.
pub(crate) fn set_environment(
    tx: &WriteTx<'_>,
    vault: &Vault,
    guid: &AppGuid,
    variables: &Variables,
) -> Result<()> {
    let sealed = vault.encrypt(&serde_json::to_vec(variables)?)?;
    tx.sql()
        .prepare_cached("update apps set environment_variables = ?2 where guid = ?1")?
        .execute(params![guid, sealed])?;
    Ok(())
}

/// Whether the app is being deployed.
pub(crate) fn deploying(tx: &ReadTx<'_>, guid: &AppGuid) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from deployments where app_guid = ?1 and status_value = 'ACTIVE' and state <> 'CANCELING'",
    )?;
    Ok(statement.exists([guid])?)
}

/// Deletes the app's buildpack cache; its blob loses a reference.
pub(crate) fn clear_buildpack_cache(tx: &WriteTx<'_>, guid: &AppGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("update apps set buildpack_cache_digest = null, buildpack_cache_stack = null where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Deletes the buildpack cache of every app.
pub(crate) fn clear_buildpack_caches(tx: &WriteTx<'_>) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update apps set buildpack_cache_digest = null, buildpack_cache_stack = null",
        )?
        .execute([])?;
    Ok(())
}

/// Deletes the app, its processes, packages, builds, droplets, tasks, deployments, sidecars and
/// destinations, and the metadata of all of them.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &AppGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from apps where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// States of the buildpacks of a lifecycle with this name that fit a stack.
pub(crate) fn buildpack_states(
    tx: &ReadTx<'_>,
    kind: LifecycleType,
    name: &str,
    stack: Option<&str>,
) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select state from buildpacks where name = ?1 and lifecycle = ?3 and (?2 is null or stack is null or stack = ?2)",
    )?;
    let rows = statement.query_map(params![name, stack, kind.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether the app was ever staged.
pub(crate) fn has_builds(tx: &ReadTx<'_>, guid: &AppGuid) -> Result<bool> {
    Ok(tx
        .sql()
        .prepare_cached("select 1 from builds where app_guid = ?1 limit 1")?
        .exists([guid])?)
}

fn name_taken(done: rusqlite::Result<usize>, name: &str) -> Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(Error::new(
            Kind::UniquenessError,
            format!("App with the name '{name}' already exists."),
        )),
        Err(error) => Err(error.into()),
    }
}

fn app(row: &Row<'_>) -> rusqlite::Result<App> {
    let state: String = row.get(3)?;
    let kind: String = row.get(4)?;
    let buildpacks: String = row.get(5)?;
    let current_droplet_guid: Option<DropletGuid> = row.get(7)?;
    let updated_at: Timestamp = row.get(13)?;
    Ok(App {
        guid: row.get(0)?,
        name: row.get(1)?,
        space_guid: row.get(2)?,
        state: if state == "STARTED" {
            AppState::Started
        } else {
            AppState::Stopped
        },
        lifecycle: Lifecycle {
            kind: LifecycleType::parse(&kind).ok_or_else(|| inconsistent(4, &kind))?,
            buildpacks: serde_json::from_str(&buildpacks)
                .map_err(|_| inconsistent(5, &buildpacks))?,
            stack: row.get(6)?,
            has_credentials: row.get(14)?,
        },
        current_droplet_guid,
        features: Features::new([row.get(8)?, row.get(9)?, row.get(10)?, row.get(11)?]),
        created_at: row.get(12)?,
        updated_at,
    })
}

fn inconsistent(column: usize, value: &str) -> rusqlite::Error {
    let cause = DbError::Inconsistent {
        what: "column of apps",
        value: value.to_owned(),
    };
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(cause))
}
