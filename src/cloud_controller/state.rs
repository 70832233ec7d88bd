//! What the Cloud Controller works with: the database, the engines it asks, names and defaults.

use std::sync::Arc;

use super::on_board::OnBoard;
use crate::base::{Clock, GuidSource, Supervisor, Timestamp};
use crate::blobs::Blobs;
use crate::db::{Db, Vault};
use crate::logs::Logs;
use crate::marketplace;
use crate::registry;
use crate::scheduler::Scheduler;
use crate::uaa::Uaa;

/// What the controller works with.
pub struct Parts {
    /// Desired state.
    pub db: Db,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// New guids.
    pub guids: GuidSource,
    /// Secrets at rest.
    pub vault: Vault,
    /// Token checks and users.
    pub uaa: Uaa,
    /// What instances use and where they listen, for their statistics.
    pub scheduler: Scheduler,
    /// Packages' bits.
    pub blobs: Blobs,
    /// Who has read what apps logged.
    pub logs: Logs,
    /// Asks service brokers what they keep.
    pub brokers: marketplace::Client,
    /// Runs what outlives a request.
    pub supervisor: Supervisor,
    /// Names and defaults.
    pub settings: Settings,
}

/// Names and defaults of this platform.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `cf.localhost`.
    pub system_domain: String,
    /// `http://api.cf.localhost:8080`: for links when nobody asked over HTTP.
    pub default_base: String,
    /// First shared domain.
    pub apps_domain: String,
    /// Stack of apps that name none.
    pub default_stack: String,
    /// Whether apps' log lines name the revision they run under.
    pub app_log_revision: bool,
    /// Variables of the machine's HTTP proxy, for apps and builds; users may set others.
    pub proxy_variables: Arc<[(String, String)]>,
    /// The names of the image registry.
    pub registry: registry::Names,
    /// Which parts of the platform there are.
    pub on_board: OnBoard,
}

/// The Cloud Controller; cheap to clone.
#[derive(Clone)]
pub struct CloudController(Arc<Parts>);

impl CloudController {
    /// A controller over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn guids(&self) -> &GuidSource {
        &self.0.guids
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub(crate) fn uaa(&self) -> &Uaa {
        &self.0.uaa
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.0.scheduler
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    pub(crate) fn logs(&self) -> &Logs {
        &self.0.logs
    }

    pub(crate) fn brokers(&self) -> &marketplace::Client {
        &self.0.brokers
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.0.supervisor
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn default_base(&self) -> &str {
        &self.0.settings.default_base
    }
}
