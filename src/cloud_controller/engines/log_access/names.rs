//! The current names of apps, spaces and organizations, cached in memory for log lines. A rename
//! shows on the next line, without a restart of the app.

use std::collections::HashMap;

use crate::base::guid::AppGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::log_access::{AppName, Fingerprint};
use crate::db::ReadTx;

/// The names of all apps.
#[derive(Debug, Default)]
pub(crate) struct AppNames {
    fingerprint: Fingerprint,
    apps: HashMap<AppGuid, AppName>,
}

impl AppNames {
    /// The names in the database; `None` when nothing changed since these were read.
    pub(crate) fn newer(&self, tx: &ReadTx<'_>) -> Result<Option<Self>> {
        let fingerprint = model::log_access::fingerprint(tx)?;
        if fingerprint == self.fingerprint {
            return Ok(None);
        }
        let apps = model::log_access::names(tx)?;
        Ok(Some(Self { fingerprint, apps }))
    }

    /// The names of one app.
    pub(crate) fn get(&self, app: &str) -> Option<&AppName> {
        self.apps.get(&AppGuid::from(app))
    }
}
