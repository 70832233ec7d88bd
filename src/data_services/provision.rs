//! Makes and deletes instances.

use std::collections::BTreeMap;

use super::Inner;
use super::failure::Failure;
use super::ports;
use super::store::{self, Instance, Kind, State};
use crate::db::{DbError, WriteTx};
use crate::docker::DockerError;

/// How often other ports are tried.
const OTHER_PORTS: usize = 3;

impl Inner {
    /// Makes an instance. It has no data yet, so whatever an earlier try left is removed first.
    pub(super) async fn provision(&self, mut instance: Instance) -> Result<(), Failure> {
        let guid = instance.guid.clone();
        self.erase(&guid).await?;
        self.settle(&mut instance).await?;
        self.step(&guid, "starting").await?;
        let mut made = self.first_start(&instance).await;
        for _ in 0..OTHER_PORTS {
            if !made.as_ref().is_err_and(ports::is_taken) {
                break;
            }
            self.erase(&guid).await?;
            instance.ports = self.other_ports(&instance).await?;
            made = self.first_start(&instance).await;
        }
        if let Err(error) = made {
            // A failed instance uses nothing until it is deleted.
            if let Err(left) = self.erase(&guid).await {
                tracing::warn!(service_instance = guid, error = %left, "cannot remove what a failed service left");
            }
            return Err(error);
        }
        instance.ready = true;
        instance
            .version
            .clone_from(&instance.operation.request.version);
        self.note(&guid, "created").await?;
        self.succeed(instance, "created").await
    }

    /// Other ports of this machine, as somebody took one of those it had.
    pub(super) async fn other_ports(
        &self,
        instance: &Instance,
    ) -> Result<BTreeMap<String, u16>, Failure> {
        let spec = self.service(instance)?.plan.spec.clone();
        let (guid, platform_id) = (instance.guid.clone(), self.settings.platform_id.clone());
        let chosen = self.db.write(move |tx: &WriteTx<'_>| {
            // Its own are among those that are taken.
            let chosen = ports::choose(&spec, &store::ports(tx)?, &platform_id);
            if let Ok(chosen) = &chosen {
                store::set_ports(tx, &guid, chosen)?;
            }
            Ok::<_, DbError>(chosen)
        });
        chosen.await?
    }

    async fn first_start(&self, instance: &Instance) -> Result<(), Failure> {
        let service = self.service(instance)?;
        let id = self.start_anew(&service).await?;
        self.wait_ready(&service, &id).await?;
        self.hooks(&service, &id, &service.plan.spec.credentials.init)
            .await?;
        if let Some(backup) = &instance.operation.request.act.restore {
            self.step(&instance.guid, "loading the backup").await?;
            self.load(&service, &id, backup).await?;
        }
        Ok(())
    }

    /// Removes the container and the volume of an instance.
    pub(super) async fn erase(&self, guid: &str) -> Result<(), Failure> {
        self.engine.remove(&self.container_name(guid)).await?;
        let volume = self.volume_name(guid);
        match self.engine.remove_volume(&volume).await {
            Err(DockerError::Conflict(_)) => {
                // Somebody else's container has it.
                self.fence_others(guid).await?;
                for other in self.engine.list_by_volume(&volume).await? {
                    self.engine.remove(&other.id).await?;
                }
                Ok(self.engine.remove_volume(&volume).await?)
            }
            removed => Ok(removed?),
        }
    }

    /// Deletes an instance. A last dump and earlier ones stay for some days.
    pub(super) async fn deprovision(&self, instance: Instance) -> Result<(), Failure> {
        let guid = instance.guid.clone();
        if instance.ready {
            self.last_backup(&instance).await?;
        }
        if let Ok(service) = self.service(&instance) {
            self.stop(&service).await?;
        }
        self.erase(&guid).await?;
        self.remove_own_images(&guid).await?;
        for kind in ["down", "full"] {
            self.trouble(&instance, kind, None);
        }
        let expiry = self.now().plus(self.settings.retained);
        let remove = move |tx: &WriteTx<'_>| {
            store::expire_backups(tx, &guid, expiry)?;
            store::remove(tx, &guid)
        };
        Ok(self.db.write(remove).await?)
    }

    /// A service that is down or was never used has nothing that must be saved at any price.
    async fn last_backup(&self, instance: &Instance) -> Result<(), Failure> {
        // A service that the catalog does not have any more can be deleted, too.
        let Ok(service) = self.service(instance) else {
            return Ok(());
        };
        let running = self.running(&instance.guid).await?;
        let (Some(_), Some(id)) = (&service.plan.spec.backup, running) else {
            return Ok(());
        };
        self.step(&instance.guid, "saving a last backup").await?;
        if let Err(error) = self.save_dump(&service, &id, "", "deleted").await {
            self.note(
                &instance.guid,
                format!("deleting without a last backup: {error}"),
            )
            .await?;
        }
        Ok(())
    }

    /// Ends the operation of an instance well.
    pub(super) async fn succeed(&self, mut instance: Instance, text: &str) -> Result<(), Failure> {
        instance.operation.state = State::Succeeded;
        text.clone_into(&mut instance.operation.description);
        instance.updated_at = self.now();
        Ok(self.save(&instance).await?)
    }

    /// Ends an operation of an instance badly, unless another one took its place.
    pub(super) async fn fail(
        &self,
        guid: &str,
        operation: &str,
        failure: &Failure,
    ) -> Result<(), Failure> {
        let found = self.find(guid).await?;
        let Some(mut instance) = found.filter(|found| found.operation.id == operation) else {
            return Ok(());
        };
        let what = match instance.operation.kind {
            Kind::Create => "creating",
            Kind::Update => "updating",
            Kind::Delete => "deleting",
        };
        self.note(guid, format!("{what} failed: {failure}")).await?;
        instance.operation.state = State::Failed;
        instance.operation.description = failure.to_string();
        instance.updated_at = self.now();
        Ok(self.save(&instance).await?)
    }
}
