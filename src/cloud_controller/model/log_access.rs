//! SQL of log access.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::params_from_iter;

use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::Select;

use crate::db::{DbError, ReadTx};

/// Labels with this prefix are tags of everything an app logs and measures.
const TAG_PREFIX: &str = "metric.tag.cloudfoundry.org";

/// Counts and times of the tables with the names, and the labels that are tags.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    times: [Option<i64>; 7],
    labels: Vec<TagLabel>,
}

/// A label that is a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TagLabel {
    resource_type: String,
    resource_guid: String,
    name: String,
    value: String,
}

/// What owns a source of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnerKind {
    App,
    ServiceInstance,
}

/// The names of one app or service instance.
#[derive(Debug)]
pub(crate) struct OwnerName {
    pub kind: OwnerKind,
    /// Name.
    pub name: Box<str>,
    /// Its space and organization.
    pub space: Arc<SpaceName>,
    /// Tags from labels of its own.
    pub labels: Box<[(String, String)]>,
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
    /// Tags from labels of both; the space's come later.
    pub labels: Vec<(String, String)>,
}

/// Guids of the apps the caller sees.
pub(crate) fn visible_apps(tx: &ReadTx<'_>, caller: &Caller) -> Result<Vec<String>> {
    let mut select = Select::from("apps a");
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    let mut statement = tx.sql().prepare_cached(&select.sql("a.guid", ""))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Guids of the service instances the caller sees in its spaces.
pub(crate) fn visible_service_instances(tx: &ReadTx<'_>, caller: &Caller) -> Result<Vec<String>> {
    let mut select = Select::from("service_instances i");
    caller.limit_to_visible_spaces(&mut select, "i.space_guid");
    let mut statement = tx.sql().prepare_cached(&select.sql("i.guid", ""))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// An app or a service instance with the names around it.
#[derive(Debug)]
pub(crate) struct LogSource {
    pub guid: String,
    pub name: String,
    pub space: String,
    pub organization: String,
}

/// What has logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogSourceKind {
    App,
    ServiceInstance,
}

/// Apps or service instances by guid or name; the latter within a space and an organization, where
/// those are given. `None` = all.
pub(crate) fn sources(
    tx: &ReadTx<'_>,
    kind: LogSourceKind,
    name: Option<&str>,
) -> Result<Vec<LogSource>> {
    let sql = match kind {
        LogSourceKind::App => {
            "select x.guid, x.name, s.name, o.name from apps x join spaces s on s.guid = x.space_guid \
             join organizations o on o.guid = s.organization_guid \
             where ?1 is null or x.guid = ?1 \
             or (x.name = ?2 and s.name = coalesce(?3, s.name) and o.name = coalesce(?4, o.name))"
        }
        LogSourceKind::ServiceInstance => {
            "select x.guid, x.name, s.name, o.name from service_instances x \
             join spaces s on s.guid = x.space_guid join organizations o on o.guid = s.organization_guid \
             where ?1 is null or x.guid = ?1 \
             or (x.name = ?2 and s.name = coalesce(?3, s.name) and o.name = coalesce(?4, o.name))"
        }
    };
    let mut parts = name.unwrap_or_default().rsplitn(3, '/');
    let [app, space, organization] = [parts.next(), parts.next(), parts.next()];
    let mut statement = tx.sql().prepare_cached(sql)?;
    let mut reading = tx.reading("sources of logs");
    let parameters = rusqlite::params![name, app, space, organization];
    let sources = reading.rows(&mut statement, parameters, |row| {
        Ok(LogSource {
            guid: row.get(0)?,
            name: row.get(1)?,
            space: row.get(2)?,
            organization: row.get(3)?,
        })
    })?;
    reading.finish();
    Ok(sources)
}

/// Whether a source's lines are kept: it is an app or a service instance. Its row need not be
/// readable.
pub(crate) fn has_logs(tx: &ReadTx<'_>, source_id: &str) -> Result<bool, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from apps where guid = ?1 union all select 1 from service_instances where guid = ?1",
    )?;
    Ok(statement.exists([source_id])?)
}

/// The guids of all apps and service instances with this name.
pub(crate) fn named(tx: &ReadTx<'_>, name: &str) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select guid from apps where name = ?1 union all select guid from service_instances where name = ?1",
    )?;
    let rows = statement.query_map([name], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether the caller sees the app or service instance with this guid.
pub(crate) fn is_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &str) -> Result<bool> {
    for table in ["apps a", "service_instances a"] {
        let mut select = Select::from(table);
        caller.limit_to_visible_spaces(&mut select, "a.space_guid");
        select.and("a.guid = ?", [guid.to_owned()]);
        let mut statement = tx.sql().prepare_cached(&select.sql("1", ""))?;
        if statement.exists(params_from_iter(select.values()))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Changes whenever an app, a service instance, a space or an organization is created, renamed or
/// deleted, or one of their labels that are tags changes.
pub(crate) fn fingerprint(tx: &ReadTx<'_>) -> Result<Fingerprint> {
    let mut statement = tx.sql().prepare_cached(
        "select (select count(*) from apps), (select max(updated_at) from apps), \
                (select count(*) from service_instances), \
                (select max(updated_at) from service_instances), \
                (select count(*) from spaces), (select max(updated_at) from spaces), \
                (select max(updated_at) from organizations)",
    )?;
    let times = statement.query_row([], |row| {
        let mut times = [None; 7];
        for (number, time) in times.iter_mut().enumerate() {
            *time = row.get(number)?;
        }
        Ok(times)
    })?;
    let labels = labels(tx)?;
    Ok(Fingerprint { times, labels })
}

fn labels(tx: &ReadTx<'_>) -> Result<Vec<TagLabel>> {
    let mut statement = tx.sql().prepare_cached(
        "select resource_type, resource_guid, name, value from labels \
         where resource_type in ('app', 'organization', 'service_instance', 'space') and prefix = ?1 \
         order by resource_type, resource_guid, name",
    )?;
    let rows = statement.query_map([TAG_PREFIX], |row| {
        Ok(TagLabel {
            resource_type: row.get(0)?,
            resource_guid: row.get(1)?,
            name: row.get(2)?,
            value: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Fingerprint {
    /// The tags that a resource has by its labels.
    fn tags(&self, resource_type: &str, guid: &str) -> Vec<(String, String)> {
        let of_it =
            |label: &&TagLabel| label.resource_type == resource_type && label.resource_guid == guid;
        let labels = self.labels.iter().filter(of_it);
        labels
            .map(|label| (label.name.clone(), label.value.clone()))
            .collect()
    }
}

/// The names of all apps and service instances, with those of their spaces and organizations, and
/// the tags of `known` labels.
pub(crate) fn names(tx: &ReadTx<'_>, known: &Fingerprint) -> Result<HashMap<Box<str>, OwnerName>> {
    let mut statement = tx.sql().prepare_cached(
        "select s.guid, s.name, o.guid, o.name from spaces s \
         join organizations o on o.guid = s.organization_guid",
    )?;
    let mut reading = tx.reading("names on log lines");
    let spaces = reading.rows(&mut statement, [], |row| {
        let guid: SpaceGuid = row.get(0)?;
        let organization_guid: OrganizationGuid = row.get(2)?;
        let mut labels = known.tags("organization", organization_guid.as_str());
        labels.extend(known.tags("space", guid.as_str()));
        let space = SpaceName {
            guid: guid.clone(),
            name: row.get(1)?,
            organization_guid,
            organization_name: row.get(3)?,
            labels,
        };
        Ok((guid, Arc::new(space)))
    })?;
    let spaces: HashMap<SpaceGuid, Arc<SpaceName>> = spaces.into_iter().collect();
    let mut statement = tx.sql().prepare_cached(
        "select guid, name, space_guid, 1 from apps \
         union all select guid, name, space_guid, 0 from service_instances",
    )?;
    let names = reading.rows(&mut statement, [], |row| {
        let space: SpaceGuid = row.get(2)?;
        let Some(space) = spaces.get(&space).cloned() else {
            return Ok(None);
        };
        let guid: Box<str> = row.get(0)?;
        let is_app: bool = row.get(3)?;
        let (kind, resource_type) = if is_app {
            (OwnerKind::App, "app")
        } else {
            (OwnerKind::ServiceInstance, "service_instance")
        };
        let labels = known.tags(resource_type, &guid).into();
        let name = row.get(1)?;
        let owner = OwnerName {
            kind,
            name,
            space,
            labels,
        };
        Ok(Some((guid, owner)))
    })?;
    reading.finish();
    Ok(names.into_iter().flatten().collect())
}
