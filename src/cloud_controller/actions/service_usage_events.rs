//! Service usage events, each inside the caller's transaction.

use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::permits::MayAdminister;
use crate::db::WriteTx;

/// Replaces all events by one for each service instance.
pub(crate) fn reseed(tx: &WriteTx<'_>, may: &MayAdminister) -> Result<()> {
    model::service_usage_events::reseed(tx, may.now)
}
