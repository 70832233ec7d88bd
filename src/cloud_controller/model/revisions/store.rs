//! SQL of `revisions`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use super::{Content, Revision};
use crate::base::guid::{AppGuid, RevisionGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::apps::Variables;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::{ReadTx, Vault, WriteTx};

const COLUMNS: &str = "r.guid, r.app_guid, r.version, r.droplet_guid, r.commands, r.sidecars, r.description, \
    exists (select 1 from droplets d where d.guid = r.droplet_guid and d.state = 'STAGED'), r.created_at, r.updated_at";

/// A revision of an app the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &RevisionGuid,
) -> Result<Option<Revision>> {
    let mut select = Select::from("revisions r join apps a on a.guid = r.app_guid");
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select.and("r.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), revision)
        .optional()?)
}

/// A revision, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &RevisionGuid) -> Result<Option<Revision>> {
    let sql = format!("select {COLUMNS} from revisions r where r.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], revision).optional()?)
}

/// The newest revision of an app.
pub(crate) fn latest(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Option<Revision>> {
    let sql = format!(
        "select {COLUMNS} from revisions r where r.app_guid = ?1 order by r.created_at desc, r.rowid desc limit 1"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([app], revision).optional()?)
}

/// A page of an app's revisions.
pub(crate) fn list_of_app(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    query: &ListQuery,
    deployable: Option<bool>,
) -> Result<Listed<Revision>> {
    let mut select = Select::from("revisions r");
    select.and("r.app_guid = ?", [app.to_string()]);
    query.filter_common(&mut select, "r", Some(ResourceType::Revision))?;
    query.filter(&mut select, "versions", "cast(r.version as text)");
    if let Some(deployable) = deployable {
        let not = if deployable { "" } else { "not " };
        select.and::<String>(
            &format!("{not}exists (select 1 from droplets d where d.guid = r.droplet_guid and d.state = 'STAGED')"),
            [],
        );
    }
    list(
        tx,
        &select,
        Columns {
            alias: "r",
            names: COLUMNS,
        },
        query,
        revision,
    )
}

/// A page of the revisions of an app's started processes.
pub(crate) fn list_deployed(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    query: &ListQuery,
) -> Result<Listed<Revision>> {
    let mut select = Select::from("revisions r");
    select.and(
        "r.guid in (select p.revision_guid from processes p \
         join desired_processes d on d.process_guid = p.guid where p.app_guid = ?)",
        [app.to_string()],
    );
    query.filter_common(&mut select, "r", Some(ResourceType::Revision))?;
    list(
        tx,
        &select,
        Columns {
            alias: "r",
            names: COLUMNS,
        },
        query,
        revision,
    )
}

/// The environment of a revision.
pub(crate) fn environment(
    tx: &ReadTx<'_>,
    vault: &Vault,
    guid: &RevisionGuid,
) -> Result<Variables> {
    let mut statement = tx
        .sql()
        .prepare_cached("select environment_variables from revisions where guid = ?1")?;
    let sealed: Vec<u8> = statement.query_row([guid], |row| row.get(0))?;
    Ok(serde_json::from_slice(&vault.decrypt(&sealed)?)?)
}

/// Stores a new revision.
pub(crate) fn insert(
    tx: &WriteTx<'_>,
    vault: &Vault,
    revision: &Revision,
    content: &Content,
) -> Result<()> {
    let environment = vault.encrypt(&serde_json::to_vec(&content.environment)?)?;
    tx.sql()
        .prepare_cached(
            "insert into revisions (guid, app_guid, version, droplet_guid, environment_variables, commands, \
             sidecars, description, created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
        )?
        .execute(params![
            revision.guid,
            revision.app_guid,
            revision.version,
            revision.droplet_guid,
            environment,
            serde_json::to_string(&content.commands)?,
            serde_json::to_string(&content.sidecars)?,
            revision.description,
            revision.created_at,
        ])?;
    Ok(())
}

/// The revisions of an app with this version, and those older than the newest `keep`.
pub(crate) fn surplus(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    version: i64,
    keep: i64,
) -> Result<Vec<RevisionGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select guid from revisions where app_guid = ?1 and version = ?2 union \
         select guid from (select guid from revisions where app_guid = ?1 \
         order by created_at desc, rowid desc limit -1 offset ?3)",
    )?;
    let rows = statement.query_map(params![app, version, keep], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes one with its metadata.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &RevisionGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from revisions where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Updates the time of a change.
pub(crate) fn touch(
    tx: &WriteTx<'_>,
    guid: &RevisionGuid,
    now: crate::base::Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached("update revisions set updated_at = ?2 where guid = ?1")?
        .execute(params![guid, now])?;
    Ok(())
}

fn revision(row: &Row<'_>) -> rusqlite::Result<Revision> {
    Ok(Revision {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        version: row.get(2)?,
        droplet_guid: row.get(3)?,
        commands: json(row, 4)?,
        sidecars: json(row, 5)?,
        description: row.get(6)?,
        deployable: row.get(7)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
