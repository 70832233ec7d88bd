//! What a new platform finds: quota, stack, buildpacks, domains, security groups. Safe to repeat:
//! what is there is left as it is.

use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::{error, flows};
use crate::config::Config;
use crate::db::Db;

/// Stores what is missing.
pub(super) async fn plant(
    db: &Db,
    config: &Config,
    now: Timestamp,
    guids: &GuidSource,
) -> anyhow::Result<()> {
    let (domain, guids) = (config.domain.clone(), guids.clone());
    let planted: Result<(), error::Error> = db
        .write(move |tx| flows::seed::plant(tx, &domain, now, &guids))
        .await;
    planted.map_err(|error| anyhow::anyhow!("cannot prepare the database: {error}"))
}
