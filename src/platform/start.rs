//! Opens, wires, starts and stops a platform.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::adapters::{self, LogReaders, RouterLog, SchedulerLogs, SharedSink};
use super::health::{self, Health};
use super::parts::{CoreServices, Parts, Sockets};
use super::{identity, running::Running, seed, workers};
use crate::base::Supervisor;
use crate::blobs::Blobs;
use crate::cloud_controller::engines::scheduler::{AppObserver, DesiredApps, ImageReferences};
use crate::cloud_controller::engines::{DropletUploads, Rollouts, StagingQueue, TaskQueue};
use crate::cloud_controller::flows::seed::STACK;
use crate::cloud_controller::on_board::OnBoard;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::{engines, state};
use crate::config::Config;
use crate::db::{Db, Vault};
use crate::docker::{DockerError, Engine};
use crate::logs::{Ingest, Logs};
use crate::net::ports::{self, PortChoice};
use crate::registry::{self, Registry};
use crate::router::{self, Router};
use crate::scheduler::{self, Scheduler, TaskParts, Tasks};
use crate::staging::images::Images;
use crate::staging::{self, DropletImages, Staging, StagingParts, droplet_repository};
use crate::uaa::{self, Uaa};

/// How long the start waits for the Docker daemon.
const DOCKER_TIMEOUT: Duration = Duration::from_secs(5);

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
        let sockets = bind(&parts.config)?;
        let core = open(&parts).await?;
        let supervisor = Supervisor::new();
        let running = running(&parts, &sockets, &core)?;
        let docker = docker_version(&*parts.engine).await;
        let ingest = Ingest::new(core.logs.clone(), parts.engine.clone(), &core.id);
        let sink: SharedSink = Arc::new(SchedulerLogs {
            logs: core.logs.clone(),
            ingest: ingest.clone(),
        });
        let scheduler = scheduler(&parts, &core, &sink);
        let tasks = tasks(&parts, &core, &sink);
        let cc = CloudController::new(controller_parts(
            &parts,
            &core,
            &scheduler,
            &supervisor,
            &running,
        ));
        let images = Images::new(parts.engine.clone(), core.registry.clone(), &core.id);
        let staging = staging(&parts, &core, images.clone());
        let uploads = uploads(&parts, &core, &images);
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
        workers::warm_images(&supervisor, parts.engine.clone(), images);
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

fn bind(config: &Config) -> anyhow::Result<Sockets> {
    Ok(Sockets {
        http: ports::bind(config.bind, config.http_port).context("HTTP port")?,
        https: ports::bind(config.bind, config.https_port).context("HTTPS port")?,
    })
}

async fn open(parts: &Parts) -> anyhow::Result<CoreServices> {
    let config = &parts.config;
    let data_dir = &config.data_dir;
    let id = identity::ensure_platform_id(data_dir)?;
    let password = identity::ensure_admin_password(config)?;
    let database = identity::database(data_dir);
    let vault = Vault::open(&data_dir.join("secret-key"), &database)?;
    let db = Db::open(&database)?;
    let now = parts.clock.now();
    seed::insert_missing(&db, config, now, &parts.guids).await?;
    let blobs = Blobs::open(&data_dir.join("blobs"), db.clone(), parts.clock.clone())?;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let registry_socket = ports::bind(loopback, PortChoice::Exactly(config.registry_port))
        .context("registry port")?;
    let settings = registry::Settings {
        port: registry_socket.local_addr()?.port(),
        token: registry::token(&db, &vault).await?,
        anonymous_pull: false,
    };
    let registry = Registry::new(blobs.clone(), db.clone(), parts.clock.clone(), settings);
    let logs = Logs::open(db.clone(), parts.clock.clone()).await?;
    logs.set_source_owners(Arc::new(engines::log_access::Apps));
    let log = logs.clone();
    db.on_unreadable(move |row| adapters::log_unreadable(&log, row));
    let uaa = Uaa::open(uaa::Parts {
        db: db.clone(),
        vault: vault.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        issuer: None,
    })
    .await?;
    uaa.ensure_admin(&password)
        .await
        .map_err(|error| anyhow::anyhow!("cannot create the admin: {error:?}"))?;
    let host_ip = host_ip(config.bind);
    Ok(CoreServices {
        network: scheduler::Network::of_platform(&id),
        id,
        db,
        vault,
        blobs,
        registry,
        registry_socket,
        logs,
        uaa,
        host_ip,
    })
}

/// The address at which containers can reach this machine. Connecting a datagram socket sends
/// nothing; it only asks the kernel for the address it would use.
fn host_ip(bind: IpAddr) -> IpAddr {
    if !bind.is_loopback() && !bind.is_unspecified() {
        return bind;
    }
    let asked = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    asked.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

fn running(parts: &Parts, sockets: &Sockets, core: &CoreServices) -> anyhow::Result<Running> {
    Ok(Running {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: parts.clock.now(),
        domain: parts.config.domain.clone(),
        bind: parts.config.bind,
        http_port: sockets.http.local_addr()?.port(),
        https_port: sockets.https.local_addr()?.port(),
        registry_port: core.registry_socket.local_addr()?.port(),
    })
}

/// The daemon's version. It may be down: the platform starts without it.
async fn docker_version(engine: &dyn Engine) -> String {
    let asked = tokio::time::timeout(DOCKER_TIMEOUT, engine.info()).await;
    let answer = asked.unwrap_or_else(|_| {
        let seconds = DOCKER_TIMEOUT.as_secs();
        Err(DockerError::Unreachable(format!(
            "no answer within {seconds} s"
        )))
    });
    match answer {
        Ok(info) => info.version,
        Err(error) => {
            tracing::warn!(%error, "starting without Docker");
            format!("not reachable: {error}")
        }
    }
}

fn scheduler(parts: &Parts, core: &CoreServices, logs: &SharedSink) -> Scheduler {
    Scheduler::new(scheduler::Parts {
        db: core.db.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        engine: parts.engine.clone(),
        desired: Arc::new(DesiredApps::new(core.vault.clone(), image_references(core))),
        observer: Arc::new(AppObserver::new(parts.guids.clone())),
        logs: logs.clone(),
        probe: parts.probe.clone(),
        settings: scheduler_settings(core),
    })
}

fn tasks(parts: &Parts, core: &CoreServices, logs: &SharedSink) -> Tasks {
    Tasks::new(TaskParts {
        db: core.db.clone(),
        clock: parts.clock.clone(),
        engine: parts.engine.clone(),
        tasks: Arc::new(TaskQueue {
            vault: core.vault.clone(),
            images: image_references(core),
            guids: parts.guids.clone(),
        }),
        logs: logs.clone(),
        settings: scheduler_settings(core),
    })
}

fn scheduler_settings(core: &CoreServices) -> scheduler::Settings {
    let mut settings = scheduler::Settings::new(&core.id, core.host_ip);
    settings.network = core.network.clone();
    settings.registry_auth = Some(core.registry.auth());
    settings.lifecycle_files = staging::lifecycle_files();
    settings
}

/// How the daemon pulls the images of droplets.
fn image_references(core: &CoreServices) -> ImageReferences {
    let registry = core.registry.clone();
    Arc::new(move |droplet, digest| registry.reference(&droplet_repository(droplet), digest))
}

fn controller_parts(
    parts: &Parts,
    core: &CoreServices,
    scheduler: &Scheduler,
    supervisor: &Supervisor,
    running: &Running,
) -> state::Parts {
    state::Parts {
        db: core.db.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        vault: core.vault.clone(),
        uaa: core.uaa.clone(),
        scheduler: scheduler.clone(),
        blobs: core.blobs.clone(),
        logs: core.logs.clone(),
        supervisor: supervisor.clone(),
        settings: state::Settings {
            system_domain: parts.config.domain.clone(),
            default_base: running.api_url(),
            apps_domain: parts.config.domain.clone(),
            default_stack: STACK.to_owned(),
            app_log_revision: parts.config.app_log_revision,
            // Parts that are added here get their links in the API.
            on_board: OnBoard::default(),
        },
    }
}

fn uploads(parts: &Parts, core: &CoreServices, images: &Images) -> DropletUploads {
    DropletUploads::new(
        core.db.clone(),
        core.blobs.clone(),
        DropletImages::new(core.registry.clone(), images.clone(), &core.id),
        parts.clock.clone(),
    )
}

fn staging(parts: &Parts, core: &CoreServices, images: Images) -> Staging {
    Staging::new(StagingParts {
        db: core.db.clone(),
        blobs: core.blobs.clone(),
        engine: parts.engine.clone(),
        registry: core.registry.clone(),
        logs: core.logs.clone(),
        builds: Arc::new(StagingQueue {
            vault: core.vault.clone(),
            clock: parts.clock.clone(),
            guids: parts.guids.clone(),
        }),
        images,
        settings: staging::Settings::new(&core.id, core.host_ip),
    })
}
