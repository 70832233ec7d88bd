//! Starts and stops a platform.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::adapters::{LogReaders, SchedulerLogs, SharedSink};
use super::data_services::Part;
use super::health::{self, Health};
use super::metrics::{self, Measured, PlatformMetrics};
use super::parts::{CoreServices, Parts, Sockets};
use super::reload::{Reloaded, Reloading};
use super::router_log::RouterLog;
use super::running::Running;
use super::{certificates, console, data_services, dns, engines, open, snapshots, ssh, workers};
use crate::base::Supervisor;
use crate::cloud_controller::state::CloudController;
use crate::config::Config;
use crate::db::Db;
use crate::logs::Ingest;
use crate::router::Router;
use crate::scheduler::Scheduler;
use crate::ssh::HostKey;

/// A running platform.
pub struct Platform {
    running: Running,
    supervisor: Supervisor,
    db: Db,
    scheduler: Scheduler,
    reloading: Reloading,
}

impl Platform {
    /// Opens the data dir and starts everything; ready when this returns.
    pub async fn start(mut parts: Parts) -> anyhow::Result<Self> {
        let sockets = open::sockets(&mut parts)?;
        let core = open::core_services(&parts, &sockets).await?;
        let supervisor = Supervisor::new();
        let running = open::running(&parts, &sockets, &core)?;
        let ingest = Ingest::new(core.logs.clone(), parts.engine.clone(), &core.id);
        let (measured, sink, access_log) = observers(&parts, &core, &ingest);
        let scheduler = engines::scheduler(&parts, &core, &sink);
        let tasks = engines::tasks(&parts, &core, &sink);
        let pki = core.pki.clone();
        let tls = certificates::settings(&pki, &parts.config)?;
        let data_services = data_services::open(&parts, &core, &running, &measured).await?;
        let brokers = engines::brokers(&parts, &pki, &running, &data_services)?;
        let (key, door) = ssh::open(&parts, &running)?;
        let engines = (&scheduler, &brokers);
        let cc = engines::controller(&parts, &core, engines, &supervisor, (&running, door));
        let marketplace = engines::marketplace(&parts, &core, &brokers, &data_services);
        let images = engines::images(&parts, &core);
        let staging = engines::staging(&parts, &core, images.clone());
        let uploads = engines::uploads(&parts, &core, &images);
        let drains = engines::drains(&parts, &core, &pki);
        let (router, tcp) = engines::routers(&parts, &running, access_log, &drains, &pki);
        let names = workers::start_names(&supervisor, &core);
        let docker = open::docker_version(&*parts.engine).await;
        let health = Health::of(&core, &supervisor, (&scheduler, &tcp), docker);
        let metrics = health.metrics(measured, names, &core.logs);
        let operated = for_operators(&parts, &core, &supervisor, (&data_services, &metrics));
        let reloading = Reloading::new(&parts.config, &core);
        let platform = api(&cc, &core, &data_services, &metrics).merge(health::routes(health));
        let sources = (&cc, &supervisor, &scheduler, &router);
        let shown = (&parts, &reloading.shown);
        let platform = console::open(shown, &core, (sources, &operated), platform);

        workers::start_core(&supervisor, &core);
        workers::start_logs(&supervisor, &core, &ingest, &drains);
        workers::start_metrics(&supervisor, &parts, &core, &metrics);
        workers::start_registry(&supervisor, &core, operated)?;
        staging.start(&supervisor);
        uploads.start(&supervisor);
        scheduler.start(&supervisor);
        tasks.start(&supervisor);
        marketplace.start(&supervisor);
        data_services.start(&supervisor);
        workers::start_controller(&supervisor, &cc, &parts.clock);
        workers::start_routing(&supervisor, &core.db, &scheduler, (&router, &tcp));
        workers::start_sweepers(&supervisor, &core, &parts);
        workers::warm_images(&supervisor, images);
        workers::start_certificates(&supervisor, &pki, &core.db);
        let served = (&cc, &scheduler, &tls);
        let door = ((key, sockets), (router, platform));
        listen(&supervisor, (&parts, &core), served, door)?;
        Ok(Self {
            running,
            supervisor,
            db: core.db,
            scheduler,
            reloading,
        })
    }

    /// Its process and addresses.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Its database, for tests that bypass the API.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Its scheduler, for tests that wait for it.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Takes over what can change while it runs.
    pub fn reload(&self, config: Config) -> anyhow::Result<Reloaded> {
        self.reloading.reload(config)
    }

    /// What its workers run under.
    pub(super) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Stops all workers; true when all ended within `limit`. Apps keep running.
    pub async fn shut_down(&self, limit: Duration) -> bool {
        let clean = self.supervisor.shut_down(limit).await;
        if let Err(error) = self.db.checkpoint().await {
            tracing::warn!(%error, "cannot checkpoint the write-ahead log");
        }
        clean
    }
}

/// Serves SSH, names and HTTP.
fn listen(
    supervisor: &Supervisor,
    (parts, core): (&Parts, &CoreServices),
    (cc, scheduler, tls): (&CloudController, &Scheduler, &Arc<ServerConfig>),
    ((key, mut sockets), door): ((Option<HostKey>, Sockets), (Router, axum::Router)),
) -> anyhow::Result<()> {
    ssh::start(supervisor, parts, cc, key, &mut sockets)?;
    dns::start(supervisor, parts, core, scheduler, &sockets.dns)?;
    workers::start_front_door(supervisor, parts, tls, (sockets, &core.network), door);
    Ok(())
}

/// What takes the lines and measurements of scheduler and router.
fn observers(
    parts: &Parts,
    core: &CoreServices,
    ingest: &Ingest,
) -> (Measured, SharedSink, Arc<RouterLog>) {
    let measured = Measured::new(parts.clock.clone(), core.logs.clone());
    let sink = Arc::new(SchedulerLogs {
        logs: core.logs.clone(),
        ingest: ingest.clone(),
        measured: measured.clone(),
    });
    let access_log = Arc::new(RouterLog::new(core.logs.clone(), measured.clone()));
    (measured, sink, access_log)
}

/// What `cflite` asks on the registry's port.
fn for_operators(
    parts: &Parts,
    core: &CoreServices,
    supervisor: &Supervisor,
    (data_services, metrics): (&Part, &PlatformMetrics),
) -> axum::Router {
    let snapshots = snapshots::of_running(parts, core, data_services);
    metrics::routes(metrics)
        .merge(data_services.operator_routes())
        .merge(core.alerts.operator_routes())
        .merge(engines::log_search(core))
        .merge(snapshots.operator_routes(supervisor))
}

/// Cloud Controller, UAA, logs, metrics and the broker of data services.
fn api(
    cc: &CloudController,
    core: &CoreServices,
    data_services: &Part,
    metrics: &PlatformMetrics,
) -> axum::Router {
    let readers = Arc::new(LogReaders(cc.clone()));
    let logs = core.logs.router(readers.clone());
    let logs = logs.merge(core.logs.stream_router(readers));
    let router = cc.router().merge(core.uaa.router()).merge(logs);
    let metrics = core.registry.for_operators(metrics::routes(metrics));
    router.merge(metrics).merge(data_services.router.clone())
}
