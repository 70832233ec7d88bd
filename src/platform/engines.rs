//! Puts the engines together: each gets its settings and the adapters it asks for.

use std::sync::Arc;

use super::adapters::SharedSink;
use super::data_services;
use super::parts::{CoreServices, Parts};
use super::router_log::RouterLog;
use super::running::Running;
use crate::base::{Secret, Supervisor};
use crate::cloud_controller::engines::scheduler::{AppObserver, DesiredApps, ImageReferences};
use crate::cloud_controller::engines::{
    BrokerQueue, DropletUploads, SourceNames, StagingQueue, StandInMode, StandIns, TaskQueue,
    WantedDrains,
};
use crate::cloud_controller::flows::seed::STACK;
use crate::cloud_controller::on_board::{OnBoard, Part, SshDoor};
use crate::cloud_controller::state::{self, CloudController};
use crate::config;
use crate::logs::{DRAIN_MARK, DrainSettings, Drains};
use crate::marketplace::{self, Marketplace};
use crate::net::RequestId;
use crate::pki::Pki;
use crate::router::{self, Router, TcpRouter, TcpSettings};
use crate::scheduler::{self, Scheduler, TaskParts, Tasks};
use crate::staging::images::{self, Images};
use crate::staging::{self, DropletImages, Staging, StagingParts, droplet_repository};

pub(super) fn scheduler(parts: &Parts, core: &CoreServices, logs: &SharedSink) -> Scheduler {
    Scheduler::new(scheduler::Parts {
        db: core.db.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        engine: parts.engine.clone(),
        desired: Arc::new(DesiredApps::new(core.vault.clone(), image_references(core))),
        observer: Arc::new(AppObserver::new(parts.guids.clone())),
        logs: logs.clone(),
        probe: parts.probe.clone(),
        settings: scheduler_settings(parts, core),
    })
}

pub(super) fn tasks(parts: &Parts, core: &CoreServices, logs: &SharedSink) -> Tasks {
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
        settings: scheduler_settings(parts, core),
    })
}

fn scheduler_settings(parts: &Parts, core: &CoreServices) -> scheduler::Settings {
    let mut settings = scheduler::Settings::new(&core.id, core.host_ip);
    settings.network = core.network.clone();
    settings.resolvers = Some(core.resolvers.clone());
    settings.registry_auth = Some(core.registry.auth());
    settings.lifecycle = core.lifecycle.clone();
    settings.trust = core.trust.clone();
    settings.firewall = core.firewall.clone();
    settings.memory_capacity = Some(parts.config.memory_capacity);
    settings
}

/// How the daemon pulls the images of droplets.
fn image_references(core: &CoreServices) -> ImageReferences {
    let registry = core.registry.clone();
    Arc::new(move |droplet, digest| registry.reference(&droplet_repository(droplet), digest))
}

/// Asks service brokers, also those that are apps of this platform.
pub(super) fn brokers(
    parts: &Parts,
    pki: &Pki,
    running: &Running,
    data_services: &data_services::Part,
) -> anyhow::Result<marketplace::Client> {
    let root = reqwest::Certificate::from_pem(pki.authority_pem().as_bytes())?;
    let platform = marketplace::client::Platform {
        api_url: running.api_url(),
        roots: vec![root],
        embedded: data_services.embedded.clone(),
        offline: parts.config.offline,
    };
    let (clock, guids) = (parts.clock.clone(), parts.guids.clone());
    Ok(marketplace::Client::new(platform, clock, guids)?)
}

pub(super) fn marketplace(
    parts: &Parts,
    core: &CoreServices,
    client: &marketplace::Client,
    data_services: &data_services::Part,
) -> Marketplace {
    Marketplace::new(marketplace::Parts {
        db: core.db.clone(),
        clock: parts.clock.clone(),
        client: client.clone(),
        operations: Arc::new(BrokerQueue {
            vault: core.vault.clone(),
            guids: parts.guids.clone(),
            stand_ins: StandIns {
                broker: data_services.broker.clone(),
                mode: match parts.config.stand_ins {
                    config::StandInMode::Auto => StandInMode::Auto,
                    config::StandInMode::Always => StandInMode::Always,
                    config::StandInMode::Never => StandInMode::Never,
                },
                plans: parts.config.stand_in_plans.clone(),
            },
        }),
    })
}

pub(super) fn controller(
    parts: &Parts,
    core: &CoreServices,
    (scheduler, brokers): (&Scheduler, &marketplace::Client),
    supervisor: &Supervisor,
    (running, ssh): (&Running, Option<SshDoor>),
) -> CloudController {
    CloudController::new(state::Parts {
        db: core.db.clone(),
        clock: parts.clock.clone(),
        guids: parts.guids.clone(),
        vault: core.vault.clone(),
        uaa: core.uaa.clone(),
        scheduler: scheduler.clone(),
        blobs: core.blobs.clone(),
        logs: core.logs.clone(),
        brokers: brokers.clone(),
        supervisor: supervisor.clone(),
        settings: state::Settings {
            system_domain: parts.config.domain.clone(),
            default_base: running.api_url(),
            apps_domain: parts.config.domain.clone(),
            default_stack: STACK.to_owned(),
            app_log_revision: parts.config.app_log_revision,
            proxy_variables: parts.config.proxy_variables.clone().into(),
            registry: core.registry.names(),
            // Parts that are added here get their links in the API.
            on_board: OnBoard {
                ssh,
                parts: [
                    Part::Firehose,
                    Part::LogStream,
                    Part::NetworkPolicies,
                    Part::Routing,
                ]
                .into(),
            },
        },
    })
}

/// Sends logs on to other servers.
pub(super) fn drains(parts: &Parts, core: &CoreServices, pki: &Pki) -> Drains {
    let source = WantedDrains {
        db: core.db.clone(),
        vault: core.vault.clone(),
        aggregate: core.log_drains.clone(),
    };
    let settings = DrainSettings {
        // Nobody else can mark requests.
        secret: Secret::new(RequestId::random().as_str().to_owned()),
        authority: Secret::new(pki.authority_pem().to_owned()),
        offline: parts.config.offline,
        blocked: parts.config.log_drain_blocked.clone(),
    };
    Drains::new(core.logs.clone(), Arc::new(source), settings)
}

/// The search for operators.
pub(super) fn log_search(core: &CoreServices) -> axum::Router {
    let names = SourceNames {
        db: core.db.clone(),
    };
    core.logs.operator_routes(Arc::new(names))
}

/// The HTTP router, and the ports of TCP routes on the address of the HTTP port.
pub(super) fn routers(
    parts: &Parts,
    running: &Running,
    access_log: Arc<RouterLog>,
    drains: &Drains,
    pki: &Pki,
) -> (Router, TcpRouter) {
    let unlogged = router::Unlogged {
        header: DRAIN_MARK,
        value: Arc::new(drains.marks()),
    };
    let settings = router::Settings {
        unlogged: Some(unlogged),
        domain: parts.config.domain.clone(),
        authority: pki.authority_pem().to_owned(),
        forwarded_client_cert: parts.config.forwarded_client_cert,
        ..router::Settings::default()
    };
    let router = Router::new(settings, access_log);
    router.hold();
    let tcp = TcpRouter::new(TcpSettings::on(running.bind), parts.clock.clone());
    (router, tcp)
}

pub(super) fn images(parts: &Parts, core: &CoreServices) -> Images {
    let settings = images::Settings {
        platform_id: &core.id,
        offline: parts.config.offline,
        authorities: core.authorities.clone(),
        held: images::HELD.into(),
    };
    Images::new(parts.engine.clone(), core.registry.clone(), settings)
}

pub(super) fn uploads(parts: &Parts, core: &CoreServices, images: &Images) -> DropletUploads {
    DropletUploads::new(
        core.db.clone(),
        core.blobs.clone(),
        DropletImages::new(core.registry.clone(), images.clone(), &core.id),
        parts.clock.clone(),
    )
}

pub(super) fn staging(parts: &Parts, core: &CoreServices, images: Images) -> Staging {
    Staging::new(StagingParts {
        db: core.db.clone(),
        blobs: core.blobs.clone(),
        engine: parts.engine.clone(),
        registry: core.registry.clone(),
        packages: core.packages.clone(),
        logs: core.logs.clone(),
        builds: Arc::new(StagingQueue {
            vault: core.vault.clone(),
            clock: parts.clock.clone(),
            guids: parts.guids.clone(),
        }),
        images,
        settings: staging::Settings {
            offline: parts.config.offline,
            trust: core.trust.clone(),
            firewall: core.firewall.clone(),
            ..staging::Settings::new(&core.id, core.host_ip)
        },
    })
}
