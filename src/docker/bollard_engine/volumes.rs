//! Named volumes of the daemon's own driver.

use std::collections::HashMap;

use bollard::models;
use bollard::query_parameters as query;

use super::{BollardEngine, QUICK, SLOW, ignore_missing};
use crate::docker::{DockerError, Labels, Volume};

impl BollardEngine {
    pub(super) async fn create_volume(
        &self,
        name: &str,
        labels: &Labels,
    ) -> Result<(), DockerError> {
        let request = models::VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..Default::default()
        };
        self.call(QUICK, |docker| async move {
            docker.create_volume(request).await
        })
        .await
        .map(drop)
    }

    pub(super) async fn find_volume(&self, name: &str) -> Result<Option<Volume>, DockerError> {
        let found = self
            .call(
                QUICK,
                |docker| async move { docker.inspect_volume(name).await },
            )
            .await;
        match found {
            Ok(found) => Ok(Some(Volume {
                name: found.name,
                labels: found.labels.into_iter().collect(),
            })),
            Err(DockerError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn list_volumes(&self, prefix: &str) -> Result<Vec<String>, DockerError> {
        // The daemon finds the words anywhere in a name.
        let filters = HashMap::from([("name".to_owned(), vec![prefix.to_owned()])]);
        let options = query::ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let found = self
            .call(QUICK, |docker| async move {
                docker.list_volumes(Some(options)).await
            })
            .await?;
        let names = found.volumes.unwrap_or_default().into_iter();
        Ok(names
            .map(|volume| volume.name)
            .filter(|name| name.starts_with(prefix))
            .collect())
    }

    pub(super) async fn delete_volume(&self, name: &str) -> Result<(), DockerError> {
        let removed = self
            .call(SLOW, |docker| async move {
                let options = query::RemoveVolumeOptionsBuilder::default().build();
                docker.remove_volume(name, Some(options)).await
            })
            .await;
        ignore_missing(removed)
    }
}
