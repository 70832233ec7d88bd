//! Starts and stops a platform.

use std::sync::Arc;
use std::time::Duration;

use super::adapters::{LogReaders, RouterLog, SchedulerLogs, SharedSink};
use super::health::{self, Health};
use super::parts::Parts;
use super::running::Running;
use super::{engines, open, workers};
use crate::base::Supervisor;
use crate::cloud_controller::engines::Rollouts;
use crate::cloud_controller::state::CloudController;
use crate::db::Db;
use crate::logs::Ingest;
use crate::router::{self, Router};
use crate::scheduler::Scheduler;

/// A running platform.
pub struct Platform {
    running: Running,
    supervisor: Supervisor,
    db: Db,
    scheduler: Scheduler,
}

impl Platform {
    /// Opens the data dir and starts everything; ready when this returns.
    pub async fn start(parts: Parts) -> anyhow::Result<Self> {
        let sockets = open::sockets(&parts.config)?;
        let core = open::core_services(&parts).await?;
        let supervisor = Supervisor::new();
        let running = open::running(&parts, &sockets, &core)?;
        let docker = open::docker_version(&*parts.engine).await;
        let ingest = Ingest::new(core.logs.clone(), parts.engine.clone(), &core.id);
        let sink: SharedSink = Arc::new(SchedulerLogs {
            logs: core.logs.clone(),
            ingest: ingest.clone(),
        });
        let scheduler = engines::scheduler(&parts, &core, &sink);
        let tasks = engines::tasks(&parts, &core, &sink);
        let cc = CloudController::new(engines::controller_parts(
            &parts,
            &core,
            &scheduler,
            &supervisor,
            &running,
        ));
        let images = engines::images(&parts, &core);
        let staging = engines::staging(&parts, &core, images.clone());
        let uploads = engines::uploads(&parts, &core, &images);
        let router = Router::new(
            router::Settings::default(),
            Arc::new(RouterLog(core.logs.clone())),
        );
        let health = Health {
            db: core.db.clone(),
            supervisor: supervisor.clone(),
            scheduler: scheduler.clone(),
            docker,
        };
        let platform = cc
            .router()
            .merge(core.uaa.router())
            .merge(core.logs.router(Arc::new(LogReaders(cc.clone()))))
            .merge(health::routes(health));

        workers::start_names(&supervisor, &core);
        core.uaa.start(&supervisor);
        workers::start_database(&supervisor, &core);
        workers::start_logs(&supervisor, &core, &ingest);
        workers::start_registry(&supervisor, &core)?;
        staging.start(&supervisor);
        uploads.start(&supervisor);
        scheduler.start(&supervisor);
        tasks.start(&supervisor);
        Rollouts::new(&cc, parts.clock.clone()).start(&supervisor);
        workers::start_routing(&supervisor, &core.db, &scheduler, &router);
        workers::start_sweeper(&supervisor, &core, &parts.clock);
        workers::start_image_collector(&supervisor, &core, &parts.engine);
        workers::warm_images(&supervisor, images);
        workers::start_front_door(&supervisor, &parts, sockets, (router, platform))?;
        Ok(Self {
            running,
            supervisor,
            db: core.db,
            scheduler,
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

    /// Stops all workers; true when all ended within `limit`. Apps keep running.
    pub async fn shut_down(&self, limit: Duration) -> bool {
        let clean = self.supervisor.shut_down(limit).await;
        if let Err(error) = self.db.checkpoint().await {
            tracing::warn!(%error, "cannot checkpoint the write-ahead log");
        }
        clean
    }
}
