//! Starts the workers of a platform under the supervisor.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::names::{self, CurrentNames};
use super::parts::{CoreServices, Parts, Sockets};
use super::sweeper::Sweeper;
use super::{adapters, droplet_images, routing, screen};
use crate::base::{Clock, Supervisor};
use crate::cloud_controller::engines::ApiLines;
use crate::cloud_controller::flows::seed::STACK;
use crate::db::Db;
use crate::docker::Engine;
use crate::logs::Ingest;
use crate::net::origin::PlatformHosts;
use crate::net::server::{Limits, Listener, Server};
use crate::net::slow_body::BodyLimits;
use crate::pki::Pki;
use crate::router::{FrontDoor, Router};
use crate::scheduler::Scheduler;
use crate::staging;
use crate::staging::images::Images;

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

pub(super) fn start_database(supervisor: &Supervisor, core: &CoreServices) {
    core.db.close_idle_readers(supervisor);
}

pub(super) fn start_logs(supervisor: &Supervisor, core: &CoreServices, ingest: &Ingest) {
    core.logs.start(supervisor);
    ingest.start(supervisor);
    ApiLines::new(core.db.clone(), core.logs.clone()).start(supervisor);
}

pub(super) fn start_registry(supervisor: &Supervisor, core: &CoreServices) -> anyhow::Result<()> {
    let socket = core.registry_socket.try_clone()?;
    let registry = core.registry.clone();
    supervisor.worker("registry", move |token| {
        let (registry, socket) = (registry.clone(), socket.try_clone());
        async move { registry.serve(TcpListener::from_std(socket?)?, token).await }
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

pub(super) fn start_names(supervisor: &Supervisor, core: &CoreServices) {
    let names = CurrentNames::default();
    core.logs.set_tag_source(Arc::new(names.clone()));
    let (db, logs) = (core.db.clone(), core.logs.clone());
    supervisor.worker("names on log lines", move |token| {
        names::keep(names.clone(), db.clone(), logs.clone(), token)
    });
}

pub(super) fn start_routing(
    supervisor: &Supervisor,
    db: &Db,
    scheduler: &Scheduler,
    router: &Router,
) {
    let (db, scheduler, router) = (db.clone(), scheduler.clone(), router.clone());
    supervisor.worker("routing table", move |token| {
        routing::keep_table(db.clone(), scheduler.clone(), router.clone(), token)
    });
}

pub(super) fn start_image_collector(
    supervisor: &Supervisor,
    core: &CoreServices,
    engine: &Arc<dyn Engine>,
) {
    let collector = droplet_images::Collector {
        platform_id: core.id.clone(),
        prefix: core.registry.reference_prefix(),
        lifecycle: core.lifecycle.clone(),
        db: core.db.clone(),
        engine: engine.clone(),
    };
    supervisor.worker("unused images", move |token| collector.clone().run(token));
}

pub(super) fn start_sweeper(supervisor: &Supervisor, core: &CoreServices, clock: &Arc<dyn Clock>) {
    let sweeper = Sweeper {
        db: core.db.clone(),
        registry: core.registry.clone(),
        blobs: core.blobs.clone(),
        clock: clock.clone(),
    };
    supervisor.worker("sweeper", move |token| sweeper.clone().run(token));
}

pub(super) fn start_front_door(
    supervisor: &Supervisor,
    parts: &Parts,
    sockets: Sockets,
    (router, platform): (Router, axum::Router),
) -> anyhow::Result<()> {
    let pki = Pki::open(
        &parts.config.data_dir.join("pki"),
        std::slice::from_ref(&parts.config.domain),
        parts.clock.clone(),
    )?;
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
    let listeners = vec![
        Listener::plain(sockets.http),
        Listener::tls(sockets.https, pki.server_config()),
    ];
    let limits = Limits {
        threads: parts.threads,
        ..Limits::default()
    };
    let server = Arc::new(Server::new(listeners, door, limits));
    supervisor.worker("front door", move |token| server.clone().run(token));
    supervisor.worker("certificates", move |token| pki.clone().keep_fresh(token));
    Ok(())
}
