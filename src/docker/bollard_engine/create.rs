//! Creates containers.

use std::sync::atomic::Ordering;

use bollard::query_parameters as query;

use super::{BollardEngine, SLOW, translate};
use crate::docker::{ContainerSpec, DockerError};

impl BollardEngine {
    pub(super) async fn create_container(
        &self,
        spec: &ContainerSpec,
    ) -> Result<String, DockerError> {
        let ports = if self.connection().await?.info.containers_routable {
            translate::Ports::Internal
        } else {
            translate::Ports::Published
        };
        loop {
            let refused = self.local_logs_refused.load(Ordering::Relaxed);
            let driver = if refused { "json-file" } else { "local" };
            let body = translate::create_body(spec, driver, ports);
            let options = query::CreateContainerOptionsBuilder::default()
                .name(&spec.name)
                .build();
            let created = self
                .call(SLOW, |docker| async move {
                    docker.create_container(Some(options), body).await
                })
                .await;
            match created {
                Ok(created) => return Ok(created.id),
                Err(DockerError::Failed(text))
                    if !refused && translate::is_log_driver_error(&text) =>
                {
                    self.local_logs_refused.store(true, Ordering::Relaxed);
                }
                Err(DockerError::NotFound(_)) => {
                    return Err(DockerError::NotFound(format!("image {}", spec.image)));
                }
                Err(error) => return Err(error),
            }
        }
    }
}
