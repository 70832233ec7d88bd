//! The initial data of a platform: quota, stack, buildpacks, domains, security groups. Idempotent:
//! existing rows are kept.

use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::flows::seed::TcpPorts;
use crate::cloud_controller::{error, flows};
use crate::config::Config;
use crate::db::Db;

/// Inserts missing rows.
pub(super) async fn insert_missing(
    db: &Db,
    config: &Config,
    now: Timestamp,
    guids: &GuidSource,
) -> anyhow::Result<()> {
    let (domain, guids) = (config.domain.clone(), guids.clone());
    let tcp = TcpPorts {
        ports: config.tcp_ports.clone(),
        is_chosen: config.origins.contains_key("tcp-ports"),
    };
    let inserted: Result<(), error::Error> = db
        .write(move |tx| flows::seed::plant(tx, &domain, &tcp, now, &guids))
        .await;
    inserted.map_err(|error| anyhow::anyhow!("cannot prepare the database: {error}"))
}
