//! SQL that sums up usage.

use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::cloud_controller::error::Result;
use crate::db::ReadTx;

/// What the sum covers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    Platform,
    Organization(&'a OrganizationGuid),
    Space(&'a SpaceGuid),
}

/// The usage.
#[derive(Debug)]
pub(crate) struct Usage {
    pub started_instances: i64,
    pub memory_in_mb: i64,
    pub routes: i64,
    pub service_instances: i64,
    pub reserved_ports: i64,
    pub domains: i64,
    pub tasks: i64,
    pub service_keys: i64,
}

/// Sums up the usage.
pub(crate) fn usage(tx: &ReadTx<'_>, scope: Scope<'_>) -> Result<Usage> {
    // Each condition uses ?1; the platform's holds for every row.
    let (guid, within, domains) = match scope {
        Scope::Platform => ("", "?1 = ''", "organization_guid is not null and ?1 = ''"),
        Scope::Organization(guid) => (
            guid.as_str(),
            "space_guid in (select guid from spaces where organization_guid = ?1)",
            "organization_guid = ?1",
        ),
        Scope::Space(guid) => (
            guid.as_str(),
            "space_guid = ?1",
            "organization_guid = (select organization_guid from spaces where guid = ?1)",
        ),
    };
    let tasks = format!(
        "from tasks t join apps on apps.guid = t.app_guid where t.state in ('PENDING', 'RUNNING') and {within}"
    );
    let started = format!(
        "from processes p join apps on apps.guid = p.app_guid where apps.state = 'STARTED' and {within}"
    );
    let sql = format!(
        "select (select coalesce(sum(p.instances), 0) {started}), \
         (select coalesce(sum(p.instances * p.memory_in_mb), 0) {started}) \
         + (select coalesce(sum(t.memory_in_mb), 0) {tasks}), \
         (select count(*) from routes where {within}), \
         (select count(*) from service_instances where type = 'managed' and {within}), \
         (select count(*) from routes where port > 0 and {within}), \
         (select count(*) from domains where {domains}), (select count(*) {tasks})"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], |row| {
        Ok(Usage {
            started_instances: row.get(0)?,
            memory_in_mb: row.get(1)?,
            routes: row.get(2)?,
            service_instances: row.get(3)?,
            reserved_ports: row.get(4)?,
            domains: row.get(5)?,
            tasks: row.get(6)?,
            // Only managed instances have keys.
            service_keys: 0,
        })
    })?)
}
