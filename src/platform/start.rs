//! Opening, wiring and starting; and the end of it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::adapters::{self, LogReaders, RouterLog, SchedulerLogs, SharedSink};
use super::ground::{Ground, Parts, Sockets};
use super::health::{self, Health};
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

/// The start does not wait longer for a daemon that does not answer.
const DOCKER_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

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
        let ground = open(&parts).await?;
        let supervisor = Supervisor::new();
        let running = running(&parts, &sockets, &ground)?;
        let docker = docker_version(&*parts.engine).await;
        let ingest = Ingest::new(ground.logs.clone(), parts.engine.clone(), &ground.id);
        let sink: SharedSink = Arc::new(SchedulerLogs {
            logs: ground.logs.clone(),
            ingest: ingest.clone(),
        });
        let scheduler = scheduler(&parts, &ground, &sink);
        let tasks = tasks(&parts, &ground, &sink);
        let cc = CloudController::new(controller_parts(
            &parts,
            &ground,
            &scheduler,
            &supervisor,
            &running,
        ));
        let images = Images::new(parts.engine.clone(), ground.registry.clone(), &ground.id);
        let staging = staging(&parts, &ground, images.clone());
        let uploads = uploads(&parts, &ground, &images);
        let router = Router::new(
            router::Settings::default(),
            Arc::new(RouterLog(ground.logs.clone())),
        );
        let health = Health {
            db: ground.db.clone(),
            supervisor: supervisor.clone(),
            scheduler: scheduler.clone(),
            docker,
        };
        let platform = cc
            .router()
            .merge(ground.uaa.router())
            .merge(ground.logs.router(Arc::new(LogReaders(cc.clone()))))
            .merge(health::routes(health));

        workers::start_names(&supervisor, &ground);
        ground.uaa.start(&supervisor);
        workers::start_database(&supervisor, &ground);
        workers::start_logs(&supervisor, &ground, &ingest);
        workers::start_registry(&supervisor, &ground)?;
        staging.start(&supervisor);
        uploads.start(&supervisor);
        scheduler.start(&supervisor);
        tasks.start(&supervisor);
        Rollouts::new(&cc, parts.clock.clone()).start(&supervisor);
        workers::start_routing(&supervisor, &ground.db, &scheduler, &router);
        workers::start_sweeper(&supervisor, &ground, &parts.clock);
        workers::start_image_collector(&supervisor, &ground, &parts.engine);
        workers::warm_images(&supervisor, parts.engine.clone(), images);
        workers::start_front_door(&supervisor, &parts, sockets, (router, platform))?;
        Ok(Self {
            running,
            supervisor,
            db: ground.db,
            scheduler,
        })
    }

    /// Where it is.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Its database, for tests that look behind the API.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Its scheduler, for tests that wait for it.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Ends all workers; true when all ended within `limit`. Apps go on running.
    pub async fn shut_down(&self, limit: Duration) -> bool {
        let clean = self.supervisor.shut_down(limit).await;
        if let Err(error) = self.db.checkpoint().await {
            tracing::warn!(%error, "cannot fold the write-ahead log into the database");
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

async fn open(parts: &Parts) -> anyhow::Result<Ground> {
    let config = &parts.config;
    let data_dir = &config.data_dir;
    let id = identity::ensure_platform_id(data_dir)?;
    let password = identity::ensure_admin_password(config)?;
    let database = identity::database(data_dir);
    let vault = Vault::open(&data_dir.join("secret-key"), &database)?;
    let db = Db::open(&database)?;
    let now = parts.clock.now();
    seed::plant(&db, config, now, &parts.guids).await?;
    let blobs = Blobs::open(&data_dir.join("blobs"), db.clone(), parts.clock.clone())?;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let registry_socket =
        ports::bind(loopback, PortChoice::Exactly(config.registry_port)).context("registry port")?;
    let settings = registry::Settings {
        port: registry_socket.local_addr()?.port(),
        token: registry::token(&db, &vault).await?,
        anonymous_pull: false,
    };
    let registry = Registry::new(blobs.clone(), db.clone(), parts.clock.clone(), settings);
    let logs = Logs::open(db.clone(), parts.clock.clone()).await?;
    logs.set_source_owners(Arc::new(engines::log_access::Apps));
    let told = logs.clone();
    db.tell_unreadable(move |row| adapters::tell_unreadable(&told, row));
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
        .map_err(|error| anyhow::anyhow!("cannot make the admin: {error:?}"))?;
    let host_ip = host_ip(config.bind);
    Ok(Ground {
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

/// Where containers can reach this machine. Connecting a datagram socket sends nothing; it only
/// asks the kernel for the address it would use.
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

fn running(parts: &Parts, sockets: &Sockets, ground: &Ground) -> anyhow::Result<Running> {
    Ok(Running {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: parts.clock.now(),
        domain: parts.config.domain.clone(),
        bind: parts.config.bind,
        http_port: sockets.http.local_addr()?.port(),
        https_port: sockets.https.local_addr()?.port(),
        registry_port: ground.registry_socket.local_addr()?.port(),
    })
}

/// The daemon may be down: apps and the API wait for it, the platform does not.
async fn docker_version(engine: &dyn Engine) -> String {
    let asked = tokio::time::timeout(DOCKER_ANSWERS_WITHIN, engine.info()).await;
    let answer = asked.unwrap_or_else(|_| {
        let seconds = DOCKER_ANSWERS_WITHIN.as_secs();
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

fn scheduler(parts: &Parts, ground: &Ground, logs: &SharedSink) -> Scheduler {
    Scheduler::new(scheduler::Parts {
        db: ground.db.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        engine: parts.engine.clone(),
        desired: Arc::new(DesiredApps::new(
            ground.vault.clone(),
            image_references(ground),
        )),
        observer: Arc::new(AppObserver::new(parts.guids.clone())),
        logs: logs.clone(),
        probe: parts.probe.clone(),
        settings: scheduler_settings(ground),
    })
}

fn tasks(parts: &Parts, ground: &Ground, logs: &SharedSink) -> Tasks {
    Tasks::new(TaskParts {
        db: ground.db.clone(),
        clock: parts.clock.clone(),
        engine: parts.engine.clone(),
        tasks: Arc::new(TaskQueue {
            vault: ground.vault.clone(),
            images: image_references(ground),
            guids: parts.guids.clone(),
        }),
        logs: logs.clone(),
        settings: scheduler_settings(ground),
    })
}

fn scheduler_settings(ground: &Ground) -> scheduler::Settings {
    let mut settings = scheduler::Settings::new(&ground.id, ground.host_ip);
    settings.network = ground.network.clone();
    settings.registry_auth = Some(ground.registry.auth());
    settings.lifecycle_files = staging::lifecycle_files();
    settings
}

/// How the daemon pulls the images of droplets.
fn image_references(ground: &Ground) -> ImageReferences {
    let registry = ground.registry.clone();
    Arc::new(move |droplet, digest| registry.reference(&droplet_repository(droplet), digest))
}

fn controller_parts(
    parts: &Parts,
    ground: &Ground,
    scheduler: &Scheduler,
    supervisor: &Supervisor,
    running: &Running,
) -> state::Parts {
    state::Parts {
        db: ground.db.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        vault: ground.vault.clone(),
        uaa: ground.uaa.clone(),
        scheduler: scheduler.clone(),
        blobs: ground.blobs.clone(),
        logs: ground.logs.clone(),
        supervisor: supervisor.clone(),
        settings: state::Settings {
            system_domain: parts.config.domain.clone(),
            default_base: running.api_url(),
            apps_domain: parts.config.domain.clone(),
            default_stack: STACK.to_owned(),
            app_log_revision: parts.config.app_log_revision,
            // Each part that lands is told here, and the links to it appear.
            on_board: OnBoard::default(),
        },
    }
}

fn uploads(parts: &Parts, ground: &Ground, images: &Images) -> DropletUploads {
    DropletUploads::new(
        ground.db.clone(),
        ground.blobs.clone(),
        DropletImages::new(ground.registry.clone(), images.clone(), &ground.id),
        parts.clock.clone(),
    )
}

fn staging(parts: &Parts, ground: &Ground, images: Images) -> Staging {
    Staging::new(StagingParts {
        db: ground.db.clone(),
        blobs: ground.blobs.clone(),
        engine: parts.engine.clone(),
        registry: ground.registry.clone(),
        logs: ground.logs.clone(),
        builds: Arc::new(StagingQueue {
            vault: ground.vault.clone(),
            clock: parts.clock.clone(),
            guids: parts.guids.clone(),
        }),
        images,
        settings: staging::Settings::new(&ground.id, ground.host_ip),
    })
}
