//! Puts the engines together: each gets its settings and the adapters it asks for.

use std::sync::Arc;

use super::adapters::SharedSink;
use super::parts::{CoreServices, Parts};
use super::running::Running;
use crate::base::Supervisor;
use crate::cloud_controller::engines::scheduler::{AppObserver, DesiredApps, ImageReferences};
use crate::cloud_controller::engines::{DropletUploads, StagingQueue, TaskQueue};
use crate::cloud_controller::flows::seed::STACK;
use crate::cloud_controller::on_board::OnBoard;
use crate::cloud_controller::state;
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
        settings: scheduler_settings(core),
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
        settings: scheduler_settings(core),
    })
}

fn scheduler_settings(core: &CoreServices) -> scheduler::Settings {
    let mut settings = scheduler::Settings::new(&core.id, core.host_ip);
    settings.network = core.network.clone();
    settings.registry_auth = Some(core.registry.auth());
    settings.lifecycle = core.lifecycle.clone();
    settings
}

/// How the daemon pulls the images of droplets.
fn image_references(core: &CoreServices) -> ImageReferences {
    let registry = core.registry.clone();
    Arc::new(move |droplet, digest| registry.reference(&droplet_repository(droplet), digest))
}

pub(super) fn controller_parts(
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
            registry: core.registry.names(),
            // Parts that are added here get their links in the API.
            on_board: OnBoard::default(),
        },
    }
}

pub(super) fn images(parts: &Parts, core: &CoreServices) -> Images {
    let settings = images::Settings {
        platform_id: &core.id,
        offline: parts.config.offline,
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
        logs: core.logs.clone(),
        builds: Arc::new(StagingQueue {
            vault: core.vault.clone(),
            clock: parts.clock.clone(),
            guids: parts.guids.clone(),
        }),
        images,
        settings: staging::Settings {
            offline: parts.config.offline,
            ..staging::Settings::new(&core.id, core.host_ip)
        },
    })
}
