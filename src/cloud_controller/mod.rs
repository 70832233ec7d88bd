//! Cloud Controller v3: desired state of organizations, spaces, apps and routes behind CC's API.
//!
//! One folder a v3 resource, named as in the v3 docs; in it a file a layer: `mod.rs` (what it is,
//! `routes()`), `handlers.rs` (extract → one transaction → present), `payload.rs` (bodies),
//! `actions.rs` (rules and audit events in a transaction), `store.rs` (all SQL), `presenter.rs`
//! (JSON). Small resources keep several layers in `mod.rs`; SQL always stays in `store.rs`.
//!
//! Invariants: handlers change desired state and return; nothing here talks to Docker. Reads hide
//! what one may not see as 404; writes answer 403; an effect never runs in a transaction.

pub(crate) mod app_usage_events;
pub(crate) mod apps;
pub(crate) mod audit_events;
pub(crate) mod buildpacks;
pub mod builds;
pub mod deployments;
pub mod desired;
pub(crate) mod domains;
pub(crate) mod droplets;
pub(crate) mod environment_variable_groups;
pub(crate) mod feature_flags;
pub(crate) mod isolation_segments;
pub mod jobs;
pub mod leftovers;
pub mod log_access;
pub(crate) mod manifests;
pub(crate) mod organization_quotas;
pub(crate) mod organizations;
pub(crate) mod packages;
pub(crate) mod processes;
pub(crate) mod quotas;
pub(crate) mod resource_matches;
pub(crate) mod revisions;
pub(crate) mod roles;
mod root;
pub(crate) mod routes;
pub mod routing;
mod screen;
pub(crate) mod security_groups;
pub mod seed;
pub(crate) mod service_credential_bindings;
pub(crate) mod service_instances;
pub(crate) mod service_route_bindings;
pub(crate) mod service_usage_events;
pub(crate) mod sidecars;
pub(crate) mod space_quotas;
pub(crate) mod spaces;
pub(crate) mod stacks;
pub mod tasks;
mod usage_summaries;
pub(crate) mod users;
pub mod v3;

pub use apps::ApiLines;
pub use droplets::DropletUploads;
pub use root::{OnBoard, SshDoor};
pub use screen::screen;

use std::sync::Arc;

use axum::Router;

use crate::base::{Clock, GuidSource, Supervisor, Timestamp};
use crate::blobs::Blobs;
use crate::db::{Db, Vault};
use crate::logs::Logs;
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

    /// The whole API as a router; other paths answer CC's 404.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(app_usage_events::routes())
            .merge(apps::routes())
            .merge(audit_events::routes())
            .merge(buildpacks::routes())
            .merge(builds::routes())
            .merge(deployments::routes())
            .merge(domains::routes())
            .merge(droplets::routes())
            .merge(environment_variable_groups::routes())
            .merge(feature_flags::routes())
            .merge(isolation_segments::routes())
            .merge(jobs::routes())
            .merge(manifests::routes())
            .merge(organization_quotas::routes())
            .merge(organizations::routes())
            .merge(packages::routes())
            .merge(processes::routes())
            .merge(resource_matches::routes())
            .merge(revisions::routes())
            .merge(roles::routes())
            .merge(root::routes())
            .merge(routes::routes())
            .merge(security_groups::routes())
            .merge(service_credential_bindings::routes())
            .merge(service_instances::routes())
            .merge(service_route_bindings::routes())
            .merge(service_usage_events::routes())
            .merge(sidecars::routes())
            .merge(space_quotas::routes())
            .merge(spaces::routes())
            .merge(stacks::routes())
            .merge(tasks::routes())
            .merge(users::routes())
            .fallback(root::unknown_request)
            .method_not_allowed_fallback(root::unknown_request)
            .with_state(self.clone())
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
