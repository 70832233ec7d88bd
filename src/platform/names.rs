//! Names on log lines, and removal of the logs of deleted apps. A worker reads the names from the
//! database after its changes; the log writer uses this cache. When apps were created or deleted,
//! at the start and every hour the worker sweeps the logs, so that an app's logs are removed soon
//! after the app, also when this process died in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::cloud_controller::engines::log_access::{OwnerKind, OwnerNames};
use crate::cloud_controller::error::Error;
use crate::db::Db;
use crate::logs::{Logs, TagSource};

/// The logs are swept at least this often.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Tags that labels cannot set.
const STANDARD: [&str; 12] = [
    "deployment",
    "index",
    "instance_id",
    "ip",
    "job",
    "origin",
    "process_id",
    "process_instance_id",
    "process_type",
    "source_id",
    "source_type",
    "__name__",
];

/// The current names; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct CurrentNames(Arc<ArcSwap<OwnerNames>>);

impl CurrentNames {
    /// Whether there is an app or service instance with this guid.
    pub(super) fn knows(&self, guid: &str) -> bool {
        self.0.load().get(guid).is_some()
    }
}

impl TagSource for CurrentNames {
    fn tags(&self, source_id: &str) -> BTreeMap<String, String> {
        let names = self.0.load();
        let Some(owner) = names.get(source_id) else {
            return BTreeMap::new();
        };
        let space = &*owner.space;
        let labels = space.labels.iter().chain(&owner.labels);
        let mut tags: BTreeMap<String, String> = labels
            .filter(|(name, _)| !STANDARD.contains(&name.as_str()))
            .cloned()
            .collect();
        let (id, name) = match owner.kind {
            OwnerKind::App => ("app_id", "app_name"),
            OwnerKind::ServiceInstance => ("service_instance_id", "service_instance_name"),
        };
        let names = [
            (id, source_id),
            (name, &*owner.name),
            ("space_id", space.guid.as_str()),
            ("space_name", &*space.name),
            ("organization_id", space.organization_guid.as_str()),
            ("organization_name", &*space.organization_name),
        ];
        tags.extend(names.map(|(tag, value)| (tag.to_owned(), value.to_owned())));
        tags
    }
}

/// Runs until cancelled.
pub(super) async fn keep(
    names: CurrentNames,
    db: Db,
    logs: Logs,
    token: CancellationToken,
) -> Result<(), Error> {
    let mut changes = db.changes();
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    let mut sweep = true;
    loop {
        changes.mark_unchanged();
        let known = names.0.load_full();
        if let Some(newer) = db.read(move |tx| known.newer(tx)).await? {
            names.0.store(Arc::new(newer));
            sweep = true;
        }
        if std::mem::take(&mut sweep) {
            logs.sweep().await?;
        }
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            _ = ticks.tick() => sweep = true,
        }
    }
}
