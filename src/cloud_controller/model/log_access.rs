//! SQL of log access.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::params_from_iter;

use crate::base::guid::{AppGuid, OrganizationGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::Select;

use crate::db::{DbError, ReadTx};

/// Counts and times of the tables with the names.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [Option<i64>; 5]);

/// The names of one app.
#[derive(Debug)]
pub(crate) struct AppName {
    /// Name.
    pub name: Box<str>,
    /// Its space and organization.
    pub space: Arc<SpaceName>,
}

/// A space, and its organization.
#[derive(Debug)]
pub(crate) struct SpaceName {
    /// Space.
    pub guid: SpaceGuid,
    /// Its name.
    pub name: String,
    /// Organization.
    pub organization_guid: OrganizationGuid,
    /// Its name.
    pub organization_name: String,
}

/// Guids of the apps the caller sees.
pub(crate) fn visible_apps(tx: &ReadTx<'_>, caller: &Caller) -> Result<Vec<String>> {
    let mut select = Select::from("apps a");
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    let mut statement = tx.sql().prepare_cached(&select.sql("a.guid", ""))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether a source's lines are kept: it is an app. Its row need not be readable.
pub(crate) fn is_app(tx: &ReadTx<'_>, source_id: &str) -> Result<bool, DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from apps where guid = ?1")?;
    Ok(statement.exists([source_id])?)
}

/// Changes whenever an app, a space or an organization is created, renamed or deleted.
pub(crate) fn fingerprint(tx: &ReadTx<'_>) -> Result<Fingerprint> {
    let mut statement = tx.sql().prepare_cached(
        "select (select count(*) from apps), (select max(updated_at) from apps), \
                (select count(*) from spaces), (select max(updated_at) from spaces), \
                (select max(updated_at) from organizations)",
    )?;
    Ok(statement.query_row([], |row| {
        Ok(Fingerprint([
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ]))
    })?)
}

/// The names of all apps, with those of their spaces and organizations.
pub(crate) fn names(tx: &ReadTx<'_>) -> Result<HashMap<AppGuid, AppName>> {
    let mut statement = tx.sql().prepare_cached(
        "select s.guid, s.name, o.guid, o.name from spaces s \
         join organizations o on o.guid = s.organization_guid",
    )?;
    let mut reading = tx.reading("names on log lines");
    let spaces = reading.rows(&mut statement, [], |row| {
        let guid: SpaceGuid = row.get(0)?;
        let space = SpaceName {
            guid: guid.clone(),
            name: row.get(1)?,
            organization_guid: row.get(2)?,
            organization_name: row.get(3)?,
        };
        Ok((guid, Arc::new(space)))
    })?;
    let spaces: HashMap<SpaceGuid, Arc<SpaceName>> = spaces.into_iter().collect();
    let mut statement = tx
        .sql()
        .prepare_cached("select guid, name, space_guid from apps")?;
    let names = reading.rows(&mut statement, [], |row| {
        let space: SpaceGuid = row.get(2)?;
        let Some(space) = spaces.get(&space).cloned() else {
            return Ok(None);
        };
        let name = row.get(1)?;
        Ok(Some((row.get(0)?, AppName { name, space })))
    })?;
    reading.finish();
    Ok(names.into_iter().flatten().collect())
}
