//! Removes what a platform created in Docker, without a running platform.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::droplet_images::{self, Pulled};
use super::{connect_docker, identity, platform_id};
use crate::base::guid::DropletGuid;
use crate::cloud_controller::model;
use crate::config::Config;
use crate::data_services;
use crate::db::Db;
use crate::docker::trust;
use crate::docker::{Container, DockerError, Engine, LABEL_KIND, LABEL_OWNER, Labels};
use crate::network;
use crate::scheduler::{self, Network};
use crate::staging::{images, staging_network};

/// What was removed.
#[derive(Debug, Clone, Default)]
pub struct Removed {
    /// Containers.
    pub containers: usize,
    /// Images.
    pub images: usize,
    /// Ids of other platforms on the daemon, if stack images were kept for them.
    pub kept_for: Vec<String>,
}

/// What the names of all local registries' images begin with.
const LOOPBACK: &str = "127.0.0.1:";
const GRACE: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 16;

/// Stops and removes the containers of this data dir's platform.
pub async fn remove_containers(config: &Config) -> anyhow::Result<usize> {
    let Some(id) = platform_id(&config.data_dir)? else {
        return Ok(0);
    };
    let engine = connect_docker(config);
    network::remove(&*engine, &id).await?;
    remove_owned(&engine, &id).await
}

/// What was stopped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stopped {
    /// Containers.
    pub containers: usize,
    /// Memory that they used, in bytes.
    pub memory: u64,
}

/// Stops and removes the containers of this data dir's platform: first those of apps, then the data services
/// that they use.
pub async fn stop_in_order(config: &Config) -> anyhow::Result<Stopped> {
    let Some(id) = platform_id(&config.data_dir)? else {
        return Ok(Stopped::default());
    };
    let engine = connect_docker(config);
    network::remove(&*engine, &id).await?;
    let owned = Labels::from([(LABEL_OWNER.to_owned(), id.clone())]);
    let all = engine.list(&owned).await?;
    let used = all.iter().map(|container| engine.usage(&container.id));
    let used = futures_util::future::join_all(used).await;
    let used = used.into_iter().filter_map(|usage| usage.ok().flatten());
    let stopped = Stopped {
        containers: all.len(),
        memory: used.map(|usage| usage.memory).sum(),
    };
    let is_service = |container: &Container| {
        container.labels.get(LABEL_KIND).map(String::as_str) == Some(data_services::KIND)
    };
    let (services, apps): (Vec<_>, Vec<_>) = all.into_iter().partition(is_service);
    remove_each(&engine, apps).await?;
    remove_each(&engine, services).await?;
    Ok(stopped)
}

/// What becomes of the stack images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackImages {
    /// They stay: building them takes minutes.
    Keep,
    /// Those that no other platform uses are removed.
    Remove,
}

/// Removes containers, network, volumes and images.
pub async fn remove_all(config: &Config, stack_images: StackImages) -> anyhow::Result<Removed> {
    let mut removed = Removed::default();
    let engine = connect_docker(config);
    let id = platform_id(&config.data_dir)?;
    if let Some(id) = &id {
        network::remove(&*engine, id).await?;
        removed.containers = remove_owned(&engine, id).await?;
        let network = Network::of_platform(id);
        engine.remove_network(network.name()).await?;
        engine
            .remove_network(&staging_network(id, false).name)
            .await?;
        scheduler::remove_volumes(&*engine, id).await?;
        trust::remove_volumes(&*engine, id).await?;
        data_services::remove_volumes(&*engine, id).await?;
        let owned = Labels::from([(LABEL_OWNER.to_owned(), id.clone())]);
        for image in engine.images(&owned).await? {
            droplet_images::remove(&*engine, &image).await?;
            removed.images += 1;
        }
        removed.images += remove_docker_images(config, &*engine).await?;
    }
    match stack_images {
        StackImages::Remove => {
            let of_stacks = images::remove_unused(&*engine, id.as_deref()).await?;
            removed.images += of_stacks.count;
            removed.kept_for = of_stacks.kept_for;
            if removed.kept_for.is_empty() {
                removed.images += data_services::remove_images(&*engine).await?;
            }
        }
        StackImages::Keep => {
            if let Some(id) = &id {
                images::unmark(&*engine, id).await?;
            }
        }
    }
    Ok(removed)
}

/// Removes the names under which the daemon pulled Docker images; those in use stay. Droplets that
/// were deleted are known by the configured port only.
async fn remove_docker_images(config: &Config, engine: &dyn Engine) -> anyhow::Result<usize> {
    let pulled = droplet_images::pulled_images(engine, LOOPBACK).await?;
    if pulled.is_empty() {
        return Ok(0);
    }
    // A reset also helps when the database cannot be read.
    let droplets = droplets(config).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read the droplets; some images may stay");
        BTreeSet::new()
    });
    let own = format!("{LOOPBACK}{}/", config.registry_port);
    let mut removed = 0;
    for Pulled { name, droplet } in pulled {
        if !droplets.contains(&droplet) && !name.starts_with(&own) {
            continue;
        }
        match engine.remove_image(&name).await {
            Ok(()) => removed += 1,
            Err(DockerError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(removed)
}

async fn droplets(config: &Config) -> anyhow::Result<BTreeSet<DropletGuid>> {
    let db = Db::open(&identity::database(&config.data_dir))?;
    Ok(db.read(model::droplets::guids).await?)
}

async fn remove_owned(engine: &Arc<dyn Engine>, id: &str) -> anyhow::Result<usize> {
    let owned = Labels::from([(LABEL_OWNER.to_owned(), id.to_owned())]);
    let containers = engine.list(&owned).await?;
    let count = containers.len();
    remove_each(engine, containers).await?;
    Ok(count)
}

async fn remove_each(engine: &Arc<dyn Engine>, containers: Vec<Container>) -> anyhow::Result<()> {
    let all = futures_util::stream::iter(containers.into_iter().map(|container| {
        let engine = engine.clone();
        async move { remove_one(&*engine, &container).await }
    }));
    let results: Vec<anyhow::Result<()>> = all.buffer_unordered(AT_ONCE).collect().await;
    results.into_iter().collect()
}

async fn remove_one(engine: &dyn Engine, container: &Container) -> anyhow::Result<()> {
    engine.stop(&container.id, GRACE).await?;
    engine.remove(&container.id).await?;
    Ok(())
}
