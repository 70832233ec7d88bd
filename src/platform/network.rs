//! The firewall of a platform: what it is made of.

use std::sync::Arc;

use async_trait::async_trait;

use super::parts::Parts;
use crate::cloud_controller::engines::AllowedTraffic;
use crate::config::Config;
use crate::data_services;
use crate::db::Db;
use crate::docker::{DockerError, Engine};
use crate::network::{self, Firewall, HelperImage};
use crate::scheduler::Network;
use crate::staging::images::{self, ImagesError};
use crate::staging::staging_network;

/// The stack's run image, which has `nft`.
struct RunImage(Arc<dyn Engine>);

#[async_trait]
impl HelperImage for RunImage {
    async fn reference(&self) -> Result<Option<String>, DockerError> {
        let listed = images::list(&*self.0).await.map_err(|error| match error {
            ImagesError::Docker(error) => error,
            other => DockerError::Failed(other.to_string()),
        })?;
        let mut run = listed.into_iter();
        let run = run.find(|image| image.current && image.role == images::RUN);
        Ok(run.map(|image| image.reference))
    }
}

/// `names` is the port of the name server.
pub(super) fn firewall(
    parts: &Parts,
    db: &Db,
    (id, apps): (&str, &Network),
    names: u16,
) -> Firewall {
    let config = &parts.config;
    Firewall::new(network::Parts {
        db: db.clone(),
        engine: parts.engine.clone(),
        source: Arc::new(AllowedTraffic),
        image: Arc::new(RunImage(parts.engine.clone())),
        apps: apps.spec().clone(),
        builds: staging_network(id, config.offline),
        settings: network::Settings {
            platform_id: id.to_owned(),
            enforcement: config.network_enforce,
            services: data_services::KIND,
            always: proxies(config),
            names: Some(names),
        },
    })
}

/// Where the machine's proxies are: builds and apps get their variables.
fn proxies(config: &Config) -> Vec<String> {
    let mut all: Vec<String> = { config.proxy_variables.iter() }
        .filter_map(|(_, value)| {
            let url = url::Url::parse(value).ok()?;
            Some(format!(
                "{}:{}",
                url.host_str()?,
                url.port_or_known_default()?
            ))
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
