//! Lists of containers.

use std::collections::HashMap;

use bollard::query_parameters as query;
use futures_util::StreamExt;

use super::{BollardEngine, PARALLEL, QUICK, translate};
use crate::docker::{Container, DockerError, Engine, Labels};

impl BollardEngine {
    pub(super) async fn list_labelled(
        &self,
        labels: &Labels,
    ) -> Result<Vec<Container>, DockerError> {
        self.list_filtered(&translate::label_filters(labels)).await
    }

    pub(super) async fn users_of_volume(
        &self,
        volume: &str,
    ) -> Result<Vec<Container>, DockerError> {
        let filters = [("volume".to_owned(), vec![volume.to_owned()])].into();
        self.list_filtered(&filters).await
    }

    /// Containers, running or not, that the daemon's filters let through.
    async fn list_filtered(
        &self,
        filters: &HashMap<String, Vec<String>>,
    ) -> Result<Vec<Container>, DockerError> {
        let options = query::ListContainersOptionsBuilder::default()
            .all(true)
            .filters(filters)
            .build();
        let found = self
            .call(QUICK, |docker| async move {
                docker.list_containers(Some(options)).await
            })
            .await?;
        // The list itself has neither exit codes nor start times.
        let mut inspected = futures_util::stream::iter(found.into_iter().filter_map(|c| c.id))
            .map(|id| async move { self.inspect(&id).await })
            .buffered(PARALLEL);
        let mut containers = Vec::new();
        while let Some(container) = inspected.next().await {
            containers.extend(container?);
        }
        Ok(containers)
    }
}
