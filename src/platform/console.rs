//! The web console over the platform's own API.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::adapters::LogReaders;
use super::parts::{CoreServices, Parts};
use crate::base::{Live, Secret, Supervisor};
use crate::cloud_controller::state::CloudController;
use crate::router::Router;
use crate::scheduler::Scheduler;
use crate::telemetry::own_log;
use crate::web::{self, Console, Recorder};

/// What the console reads besides the services that are opened first.
type Sources<'a> = (
    &'a CloudController,
    &'a Supervisor,
    &'a Scheduler,
    &'a Router,
);

/// The console, and the API with a record of the calls that it shows. `shown` is the configuration,
/// `operated` is what operators ask.
pub(super) fn open(
    (parts, shown): (&Parts, &Live<Vec<web::Setting>>),
    core: &CoreServices,
    ((cc, supervisor, scheduler, router), operated): (Sources<'_>, &axum::Router),
    api: axum::Router,
) -> axum::Router {
    let recorder = Recorder::new(parts.clock.clone(), core.uaa.clone());
    let recorded = axum::middleware::from_fn_with_state(recorder.clone(), Recorder::record);
    let api = api.layer(recorded);
    let auth = core.registry.auth();
    let secret = format!("{}:{}", auth.username, auth.password.expose());
    let further = core.packages.operator_routes();
    let further = further.merge(operated.clone());
    let routes = core.registry.router();
    let routes = routes.merge(core.registry.for_operators(further));
    let console = Console::new(web::Parts {
        db: core.db.clone(),
        vault: core.vault.clone(),
        uaa: core.uaa.clone(),
        supervisor: supervisor.clone(),
        clock: parts.clock.clone(),
        api: api.clone(),
        logs: core.logs.clone(),
        log_access: Arc::new(LogReaders(cc.clone())),
        scheduler: scheduler.clone(),
        recorder,
        platform_id: core.id.clone(),
        domain: parts.config.domain.clone(),
        operators: web::Operators {
            routes,
            authorization: Secret::new(format!("Basic {}", STANDARD.encode(secret))),
        },
        data_services: parts.config.data_services,
        settings: shown.clone(),
        own_log: parts.config.data_dir.join(own_log::LOG),
        spool: parts.config.data_dir.clone(),
        router: router.clone(),
    });
    api.merge(console.router())
}
