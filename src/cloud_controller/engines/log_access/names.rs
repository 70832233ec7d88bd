//! The current names of apps, service instances, spaces and organizations, cached in memory for log
//! lines. A rename shows on the next line, without a restart of the app.

use std::collections::HashMap;

use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::log_access::{Fingerprint, OwnerName};
use crate::db::ReadTx;

pub(crate) use crate::cloud_controller::model::log_access::OwnerKind;

/// The names of all that logs.
#[derive(Debug, Default)]
pub(crate) struct OwnerNames {
    fingerprint: Fingerprint,
    owners: HashMap<Box<str>, OwnerName>,
}

impl OwnerNames {
    /// The names in the database; `None` when nothing changed since these were read.
    pub(crate) fn newer(&self, tx: &ReadTx<'_>) -> Result<Option<Self>> {
        let fingerprint = model::log_access::fingerprint(tx)?;
        if fingerprint == self.fingerprint {
            return Ok(None);
        }
        let owners = model::log_access::names(tx, &fingerprint)?;
        Ok(Some(Self {
            fingerprint,
            owners,
        }))
    }

    /// The names of one app or service instance.
    pub(crate) fn get(&self, guid: &str) -> Option<&OwnerName> {
        self.owners.get(guid)
    }
}
