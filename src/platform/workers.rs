//! Starts the workers of a platform under the supervisor.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;

use super::metrics::PlatformMetrics;
use super::names::{self, CurrentNames};
use super::parts::{CoreServices, Parts, Sockets};
use super::sweeper::Sweeper;
use super::{adapters, certificates, droplet_images, routing, screen};
use crate::base::{Clock, Supervisor};
use crate::cloud_controller::engines::{ApiLines, DevelopmentSessions, Rollouts};
use crate::cloud_controller::flows::seed::STACK;
use crate::cloud_controller::state::CloudController;
use crate::db::Db;
use crate::docker::Engine;
use crate::logs::{Drains, Ingest};
use crate::net::origin::PlatformHosts;
use crate::net::ports::{self, BindError, PortChoice};
use crate::net::server::{Limits, Listener, Server};
use crate::net::slow_body::BodyLimits;
use crate::network::dns;
use crate::pki::Pki;
use crate::router::{FrontDoor, Router, TcpRouter};
use crate::scheduler::{Network, Scheduler};
use crate::staging;
use crate::staging::images::Images;
use crate::telemetry::{otlp, own_log};

/// Loads built stack images into the registry, so that the first push does not wait for it. The
/// command line or the first push builds them.
pub(super) fn warm_images(supervisor: &Supervisor, images: Images) {
    let token = supervisor.token();
    supervisor.once(async move {
        let warmed = async {
            if images.are_here().await? {
                let (progress, _texts) = tokio::sync::mpsc::unbounded_channel();
                images.ready(STACK, &progress).await?;
            }
            Ok::<_, staging::images::ImagesError>(())
        };
        tokio::select! {
            () = token.cancelled() => {}
            result = warmed => if let Err(error) = result {
                tracing::warn!(%error, "cannot load the stack images yet");
            }
        }
    });
}

pub(super) fn start_core(supervisor: &Supervisor, core: &CoreServices) {
    core.uaa.start(supervisor);
    core.db.close_idle_readers(supervisor);
    core.alerts.start(supervisor);
    core.firewall.start(supervisor);
}

pub(super) fn start_logs(
    supervisor: &Supervisor,
    core: &CoreServices,
    ingest: &Ingest,
    drains: &Drains,
) {
    // Drains first: what apps wrote while no platform ran goes to them, too.
    drains.start(supervisor);
    core.logs.start(supervisor);
    ingest.start(supervisor);
    ApiLines::new(core.db.clone(), core.logs.clone()).start(supervisor);
}

/// `operated` are further routes for operators.
pub(super) fn start_registry(
    supervisor: &Supervisor,
    core: &CoreServices,
    operated: axum::Router,
) -> anyhow::Result<()> {
    let socket = core.registry_socket.try_clone()?;
    let (registry, packages) = (core.registry.clone(), core.packages.clone());
    packages.start(supervisor);
    supervisor.worker("registry", move |token| {
        let (registry, socket) = (registry.clone(), socket.try_clone());
        let further = packages.operator_routes().merge(operated.clone());
        async move {
            let listener = TcpListener::from_std(socket?)?;
            registry.serve_with(listener, further, token).await
        }
    });
    let Some(socket) = &core.mirror_socket else {
        return Ok(());
    };
    let (registry, socket) = (core.registry.clone(), socket.try_clone()?);
    supervisor.worker("registry mirror", move |token| {
        let (registry, socket) = (registry.clone(), socket.try_clone());
        async move {
            let listener = TcpListener::from_std(socket?)?;
            registry.serve_mirror(listener, token).await
        }
    });
    Ok(())
}

/// Tells of the platform: as envelopes, and over OTLP; and keeps its own log small.
pub(super) fn start_metrics(
    supervisor: &Supervisor,
    parts: &Parts,
    core: &CoreServices,
    metrics: &PlatformMetrics,
) {
    let told = metrics.clone();
    supervisor.worker("metrics of the platform", move |token| {
        let told = told.clone();
        async move { told.tell(token).await }
    });
    if let Some(settings) = parts.config.export.clone() {
        let source = Arc::new(metrics.clone());
        let exporter =
            otlp::Exporter::new(settings, core.logs.clone(), source, parts.clock.clone());
        exporter.start(supervisor);
    }
    let (data_dir, clock) = (parts.config.data_dir.clone(), parts.clock.clone());
    supervisor.worker("rotation of the log", move |token| {
        own_log::rotate(data_dir.clone(), clock.clone(), token)
    });
}

pub(super) fn start_names(supervisor: &Supervisor, core: &CoreServices) -> CurrentNames {
    let names = CurrentNames::default();
    let current = names.clone();
    core.logs.set_tag_source(Arc::new(names.clone()));
    let (db, logs) = (core.db.clone(), core.logs.clone());
    supervisor.worker("names on log lines", move |token| {
        names::keep(names.clone(), db.clone(), logs.clone(), token)
    });
    current
}

pub(super) fn start_routing(
    supervisor: &Supervisor,
    db: &Db,
    scheduler: &Scheduler,
    (router, tcp): (&Router, &TcpRouter),
) {
    let (db, scheduler) = (db.clone(), scheduler.clone());
    let routers = (router.clone(), tcp.clone());
    supervisor.worker("routing table", move |token| {
        routing::keep_table(db.clone(), scheduler.clone(), routers.clone(), token)
    });
    let tcp = tcp.clone();
    supervisor.worker("TCP routes", move |token| tcp.clone().run(token));
}

fn start_image_collector(supervisor: &Supervisor, core: &CoreServices, engine: &Arc<dyn Engine>) {
    let collector = droplet_images::Collector {
        platform_id: core.id.clone(),
        prefix: core.registry.reference_prefix(),
        lifecycle: core.lifecycle.clone(),
        trust: core.trust.clone(),
        db: core.db.clone(),
        engine: engine.clone(),
    };
    supervisor.worker("unused images", move |token| collector.clone().run(token));
}

/// The workers of the Cloud Controller itself.
pub(super) fn start_controller(
    supervisor: &Supervisor,
    cc: &CloudController,
    clock: &Arc<dyn Clock>,
) {
    Rollouts::new(cc, clock.clone()).start(supervisor);
    DevelopmentSessions::new(cc, clock.clone()).start(supervisor);
}

/// Removes what nothing needs: blobs and rows, and images of the daemon.
pub(super) fn start_sweepers(supervisor: &Supervisor, core: &CoreServices, parts: &Parts) {
    start_sweeper(supervisor, core, &parts.clock);
    start_image_collector(supervisor, core, &parts.engine);
}

fn start_sweeper(supervisor: &Supervisor, core: &CoreServices, clock: &Arc<dyn Clock>) {
    let sweeper = Sweeper {
        db: core.db.clone(),
        registry: core.registry.clone(),
        packages: core.packages.clone(),
        blobs: core.blobs.clone(),
        clock: clock.clone(),
    };
    supervisor.worker("sweeper", move |token| sweeper.clone().run(token));
}

pub(super) fn start_front_door(
    supervisor: &Supervisor,
    parts: &Parts,
    tls: &Arc<ServerConfig>,
    (sockets, network): (Sockets, &Network),
    (router, platform): (Router, axum::Router),
) {
    let door = FrontDoor {
        router,
        platform,
        screen: screen::screen,
        hosts: PlatformHosts::new(&parts.config.domain),
        clock: parts.clock.clone(),
        runtime: tokio::runtime::Handle::current(),
        body_limits: BodyLimits::default(),
        too_slow: adapters::too_slow,
    };
    front_door_for_containers(supervisor, parts, tls, (&sockets, network), &door);
    let plain = sockets.http.into_iter().map(Listener::plain);
    let secure = { sockets.https.into_iter() }.map(|socket| Listener::tls(socket, tls.clone()));
    let listeners = plain.chain(secure).collect();
    let limits = Limits {
        threads: parts.threads,
        ..Limits::default()
    };
    let server = Arc::new(Server::new(listeners, door, limits));
    supervisor.worker("front door", move |token| server.clone().run(token));
}

/// Keeps certificates fresh, and makes those of new domains.
pub(super) fn start_certificates(supervisor: &Supervisor, pki: &Pki, db: &Db) {
    let renewed = pki.clone();
    supervisor.worker("certificates", move |token| {
        renewed.clone().keep_fresh(token)
    });
    let (pki, db) = (pki.clone(), db.clone());
    supervisor.worker("certificates of domains", move |token| {
        certificates::follow_domains(pki.clone(), db.clone(), token)
    });
}

/// The same on the gateway of the containers' network, so that apps reach the platform and each other's
/// public routes by name. Not needed where the platform listens on every address.
fn front_door_for_containers(
    supervisor: &Supervisor,
    parts: &Parts,
    tls: &Arc<ServerConfig>,
    (sockets, network): (&Sockets, &Network),
    door: &FrontDoor,
) {
    let address = |sockets: &[std::net::TcpListener]| sockets.first()?.local_addr().ok();
    let (Some(http), Some(https)) = (address(&sockets.http), address(&sockets.https)) else {
        return;
    };
    if http.ip().is_unspecified() {
        return;
    }
    let limits = Limits {
        threads: parts.threads,
        ..Limits::default()
    };
    let (tls, door, gateway) = (tls.clone(), door.clone(), network.gateway());
    supervisor.worker("front door for containers", move |token| {
        let (tls, door, limits) = (tls.clone(), door.clone(), limits.clone());
        let gateway = gateway.clone();
        async move {
            let bind = |ip| -> Result<Vec<Listener>, BindError> {
                let plain = ports::bind(ip, PortChoice::Exactly(http.port()))?;
                let secure = ports::bind(ip, PortChoice::Exactly(https.port()))?;
                let secure = Listener::tls(secure, tls.clone());
                Ok(vec![Listener::plain(plain), secure])
            };
            let serve = |listeners, token| {
                let server = Server::new(listeners, door.clone(), limits.clone());
                Arc::new(server).run(token)
            };
            dns::follow("the front door", gateway, http.ip(), bind, serve, token).await
        }
    });
}
