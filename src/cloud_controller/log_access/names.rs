//! What apps, spaces and organizations are called at present, held in memory for the log lines that
//! carry those names. A rename shows on the next line, without a restart of the app.

use std::collections::HashMap;
use std::sync::Arc;

use super::store;
use crate::base::guid::{AppGuid, OrganizationGuid, SpaceGuid};
use crate::cloud_controller::v3::ApiResult;
use crate::db::ReadTx;

/// The names of all apps.
#[derive(Debug, Default)]
pub struct AppNames {
    fingerprint: Fingerprint,
    apps: HashMap<AppGuid, AppName>,
}

/// Counts and times of the tables the names stand in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) [Option<i64>; 5]);

/// One app's.
#[derive(Debug)]
pub struct AppName {
    /// Name.
    pub name: Box<str>,
    /// Where it is.
    pub space: Arc<SpaceName>,
}

/// A space, and its organization.
#[derive(Debug)]
pub struct SpaceName {
    /// Space.
    pub guid: SpaceGuid,
    /// Its name.
    pub name: String,
    /// Organization.
    pub organization_guid: OrganizationGuid,
    /// Its name.
    pub organization_name: String,
}

impl AppNames {
    /// The names as they are in the database; `None` when nothing changed since these were read.
    pub fn newer(&self, tx: &ReadTx<'_>) -> ApiResult<Option<Self>> {
        let fingerprint = store::fingerprint(tx)?;
        if fingerprint == self.fingerprint {
            return Ok(None);
        }
        let apps = store::names(tx)?;
        Ok(Some(Self { fingerprint, apps }))
    }

    /// One app's.
    pub fn get(&self, app: &str) -> Option<&AppName> {
        self.apps.get(&AppGuid::from(app))
    }
}
