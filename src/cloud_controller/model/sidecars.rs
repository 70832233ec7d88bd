//! SQL of `sidecars` and `sidecar_process_types`.

use rusqlite::{OptionalExtension, Row, params};

use crate::base::Timestamp;
use crate::base::guid::AppGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "s.guid, s.app_guid, s.name, s.command, s.memory_in_mb, s.origin, s.created_at, s.updated_at, \
    (select json_group_array(process_type) from \
     (select process_type from sidecar_process_types where sidecar_guid = s.guid order by process_type))";
const OF_TYPE: &str = "exists (select 1 from sidecar_process_types t where t.sidecar_guid = s.guid \
    and t.process_type = ?)";

/// A stored sidecar.
#[derive(Debug, Clone)]
pub(crate) struct Sidecar {
    pub guid: String,
    pub app_guid: AppGuid,
    pub name: String,
    pub command: String,
    pub process_types: Vec<String>,
    /// MB.
    pub memory: Option<i64>,
    /// `user` or `buildpack`.
    pub origin: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One sidecar, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &str) -> Result<Option<Sidecar>> {
    let sql = format!("select {COLUMNS} from sidecars s where s.guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], sidecar)
        .optional()?)
}

/// A sidecar of an app by name.
pub(crate) fn find_by_name(tx: &ReadTx<'_>, app: &AppGuid, name: &str) -> Result<Option<Sidecar>> {
    let sql = format!("select {COLUMNS} from sidecars s where s.app_guid = ?1 and s.name = ?2");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row(params![app, name], sidecar)
        .optional()?)
}

/// All sidecars of an app.
pub(crate) fn of_app(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Vec<Sidecar>> {
    let sql = format!(
        "select {COLUMNS} from sidecars s where s.app_guid = ?1 order by s.created_at, s.rowid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([app], sidecar)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The sidecars that run with a process type.
pub(crate) fn of_process(tx: &ReadTx<'_>, app: &AppGuid, kind: &str) -> Result<Vec<Sidecar>> {
    let mut all = of_app(tx, app)?;
    all.retain(|sidecar| sidecar.process_types.iter().any(|one| one == kind));
    Ok(all)
}

/// The total memory of the sidecars of a process type.
pub(crate) fn memory_of(tx: &ReadTx<'_>, app: &AppGuid, kind: &str) -> Result<i64> {
    Ok(of_process(tx, app, kind)?
        .iter()
        .filter_map(|sidecar| sidecar.memory)
        .sum())
}

/// A page of an app's sidecars; `kind` = only those of this process type.
pub(crate) fn list_of_app(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    kind: Option<&str>,
    query: &ListQuery,
) -> Result<Listed<Sidecar>> {
    let mut select = Select::from("sidecars s");
    query.filter_common(&mut select, "s", None)?;
    select.and("s.app_guid = ?", [app.to_string()]);
    if let Some(kind) = kind {
        select.and(OF_TYPE, [kind.to_owned()]);
    }
    list(
        tx,
        &select,
        Columns {
            alias: "s",
            names: COLUMNS,
        },
        query,
        sidecar,
    )
}

/// Inserts or updates a sidecar with its process types.
pub(crate) fn save(tx: &WriteTx<'_>, sidecar: &Sidecar) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into sidecars (guid, app_guid, name, command, memory_in_mb, origin, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict (guid) do update set name = excluded.name, \
             command = excluded.command, memory_in_mb = excluded.memory_in_mb, updated_at = excluded.updated_at",
        )?
        .execute(params![
            sidecar.guid,
            sidecar.app_guid,
            sidecar.name,
            sidecar.command,
            sidecar.memory,
            sidecar.origin,
            sidecar.created_at,
            sidecar.updated_at,
        ]);
    match done {
        Ok(_) => {}
        Err(error) if is_unique_violation(&error) => {
            return Err(Error::unprocessable(format!(
                "Sidecar with name '{}' already exists for given app",
                sidecar.name
            )));
        }
        Err(error) => return Err(error.into()),
    }
    tx.sql()
        .prepare_cached("delete from sidecar_process_types where sidecar_guid = ?1")?
        .execute([&sidecar.guid])?;
    for kind in &sidecar.process_types {
        tx.sql()
            .prepare_cached(
                "insert into sidecar_process_types (sidecar_guid, process_type) values (?1, ?2) on conflict do nothing",
            )?
            .execute(params![sidecar.guid, kind])?;
    }
    Ok(())
}

/// Deletes one sidecar.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from sidecars where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Deletes the sidecars from buildpacks.
pub(crate) fn delete_from_buildpacks(tx: &WriteTx<'_>, app: &AppGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from sidecars where app_guid = ?1 and origin = 'buildpack'")?
        .execute([app])?;
    Ok(())
}

fn sidecar(row: &Row<'_>) -> rusqlite::Result<Sidecar> {
    let types: String = row.get(8)?;
    Ok(Sidecar {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        name: row.get(2)?,
        command: row.get(3)?,
        memory: row.get(4)?,
        origin: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        process_types: serde_json::from_str(&types).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                8,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?,
    })
}
