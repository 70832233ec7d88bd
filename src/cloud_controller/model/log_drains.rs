//! SQL of log drains: bindings that name where an app's logs go.

use crate::base::guid::{AppGuid, CredentialBindingGuid};
use crate::cloud_controller::error::Result;
use crate::db::ReadTx;

/// A binding with a drain, and the names of its app.
#[derive(Debug)]
pub(crate) struct BoundDrain {
    pub binding: CredentialBindingGuid,
    pub app: AppGuid,
    pub url: String,
    pub organization: String,
    pub space: String,
    pub app_name: String,
    /// Whether there are credentials, which may have certificates.
    pub has_credentials: bool,
}

const SQL: &str = "select c.guid, c.app_guid, c.syslog_drain_url, o.name, s.name, a.name, c.credentials is not null \
    from service_credential_bindings c indexed by service_credential_bindings_by_drain \
    join apps a on a.guid = c.app_guid join spaces s on s.guid = a.space_guid \
    join organizations o on o.guid = s.organization_guid \
    where c.syslog_drain_url is not null and c.syslog_drain_url <> '' and c.app_guid is not null \
    and (c.operation_type is null or c.operation_type <> 'create' or c.operation_state = 'succeeded')";

/// The drains of all apps; a binding that is not ready yet has none.
pub(crate) fn all(tx: &ReadTx<'_>) -> Result<Vec<BoundDrain>> {
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let mut reading = tx.reading("log drains");
    let drains = reading.rows(&mut statement, [], |row| {
        Ok(BoundDrain {
            binding: row.get(0)?,
            app: row.get(1)?,
            url: row.get(2)?,
            organization: row.get(3)?,
            space: row.get(4)?,
            app_name: row.get(5)?,
            has_credentials: row.get(6)?,
        })
    })?;
    reading.finish();
    Ok(drains)
}
