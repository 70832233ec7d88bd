//! The volume with the lifecycle files (`launcher` and so on).
//!
//! Instances and tasks of buildpack apps mount it read-only, because copying the files into each
//! container takes the daemon 100 ms and more. Its name holds a hash of its content: after an
//! upgrade, running containers keep the volume of the earlier version until they end.
//!
//! Decisions:
//! - Nothing marks a volume as complete, as its labels cannot change. Instead, a process fills it
//!   before it creates the first container with it. That replaces files by equal ones, so it does
//!   not matter to running containers, nor how far a killed process got. A container that starts in
//!   that moment may lack one; it is restarted as after any crash.
//! - It is filled through a container that is never started, so every image will do: that of the
//!   container to be created is used.
//! - Users prune unused volumes, and the daemon then creates the volume of a new container itself:
//!   empty, without labels, without an error. So each creation checks the labels first. A volume
//!   cannot be removed while a container has it.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::{RwLock, RwLockWriteGuard};

use super::labels::{container_name, labels};
use crate::docker::{
    Access, ContainerSpec, DockerError, Engine, LABEL_KIND, LABEL_OWNER, Labels, Upload,
    VolumeMount,
};

/// Where containers have the lifecycle files.
const FOLDER: &str = "/tmp/lifecycle";
/// Value of [`LABEL_KIND`] of the volume.
const KIND: &str = "lifecycle";
/// Value of [`LABEL_KIND`] of the containers that fill volumes.
const KIND_HELPER: &str = "helper";
/// Hexadecimal digits of the hash in names.
const DIGITS: usize = 12;

/// The lifecycle files of one platform; clones share their volume.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    platform_id: String,
    hash: String,
    tar: Bytes,
    /// Whether this process filled the volume.
    filled: RwLock<bool>,
}

impl Lifecycle {
    /// `tar` is for `/` and holds `tmp/lifecycle/launcher` and so on. Nothing is created yet.
    pub fn new(platform_id: &str, tar: Bytes) -> Self {
        let mut hash = hex::encode(Sha256::digest(&tar));
        hash.truncate(DIGITS);
        Self(Arc::new(Inner {
            platform_id: platform_id.to_owned(),
            hash,
            tar,
            filled: RwLock::default(),
        }))
    }

    /// The volume's name.
    pub fn volume(&self) -> String {
        let Inner {
            platform_id, hash, ..
        } = &*self.0;
        format!("{}{hash}", prefix(platform_id))
    }

    /// The mount of a container.
    pub(super) fn mount(&self) -> VolumeMount {
        self.mounted(Access::ReadOnly)
    }

    /// Whether nothing has to be done before a container with the volume is created.
    pub(super) async fn is_complete(&self, engine: &dyn Engine) -> Result<bool, DockerError> {
        Ok(*self.0.filled.read().await && self.exists(engine).await?)
    }

    /// `None` when the volume is complete; otherwise it exists and must be filled now, which nobody
    /// else does meanwhile.
    pub(super) async fn incomplete(
        &self,
        engine: &dyn Engine,
    ) -> Result<Option<Filling<'_>>, DockerError> {
        let mut filled = self.0.filled.write().await;
        let exists = self.exists(engine).await?;
        // Another start may have filled it in the meantime.
        if *filled && exists {
            return Ok(None);
        }
        *filled = false;
        if !exists {
            self.create(engine).await?;
        }
        let lifecycle = self;
        Ok(Some(Filling { lifecycle, filled }))
    }

    /// Removes the volumes of earlier versions that no container has any more, and what an
    /// interrupted process left of filling them.
    pub async fn remove_unused(&self, engine: &dyn Engine) -> Result<(), DockerError> {
        let current = self.volume();
        for helper in engine.list(&self.labels(KIND_HELPER)).await? {
            if !helper.volumes.contains(&current) {
                engine.remove(&helper.id).await?;
            }
        }
        for name in engine.volume_names(&prefix(&self.0.platform_id)).await? {
            if name == current {
                continue;
            }
            match engine.remove_volume(&name).await {
                Ok(()) => tracing::info!(volume = name, "removed an unused volume"),
                Err(DockerError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the volume exists and was not created by the daemon.
    async fn exists(&self, engine: &dyn Engine) -> Result<bool, DockerError> {
        let found = engine.volume(&self.volume()).await?;
        Ok(found.is_some_and(|volume| volume.labels == self.labels(KIND)))
    }

    async fn create(&self, engine: &dyn Engine) -> Result<(), DockerError> {
        match engine.remove_volume(&self.volume()).await {
            // One in use is filled as it is, and again for the next container.
            Ok(()) | Err(DockerError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        let labels = self.labels(KIND);
        engine.ensure_volume(&self.volume(), &labels).await
    }

    /// A container through which the volume can be filled. `image` is one that the daemon has or
    /// can pull.
    pub(super) fn helper(&self, image: &str) -> ContainerSpec {
        ContainerSpec {
            name: container_name(&self.0.platform_id, &[KIND], &self.0.hash),
            image: image.to_owned(),
            // Never run; the daemon rejects a container without a command.
            command: vec!["true".to_owned()],
            labels: self.labels(KIND_HELPER),
            volumes: vec![self.mounted(Access::ReadWrite)],
            ..ContainerSpec::default()
        }
    }

    fn mounted(&self, access: Access) -> VolumeMount {
        VolumeMount {
            volume: self.volume(),
            folder: FOLDER.to_owned(),
            access,
        }
    }

    fn labels(&self, kind: &str) -> Labels {
        labels([(LABEL_OWNER, &self.0.platform_id), (LABEL_KIND, kind)])
    }
}

/// The right to fill the volume.
pub(super) struct Filling<'a> {
    lifecycle: &'a Lifecycle,
    filled: RwLockWriteGuard<'a, bool>,
}

impl Filling<'_> {
    /// Fills the volume through a container of [`Lifecycle::helper`], which is then removed.
    pub(super) async fn through(
        mut self,
        engine: &dyn Engine,
        helper: &str,
    ) -> Result<(), DockerError> {
        let tar = std::io::Cursor::new(self.lifecycle.0.tar.clone());
        let upload = Upload {
            folder: "/".to_owned(),
            tar: Box::pin(tar),
        };
        let uploaded = engine.upload(helper, upload).await;
        engine.remove(helper).await?;
        uploaded?;
        *self.filled = true;
        tracing::info!(
            volume = self.lifecycle.volume(),
            "filled the volume of the lifecycle files"
        );
        Ok(())
    }
}

/// Removes all volumes of a platform that has no containers any more.
pub async fn remove_volumes(engine: &dyn Engine, platform_id: &str) -> Result<(), DockerError> {
    for name in engine.volume_names(&prefix(platform_id)).await? {
        engine.remove_volume(&name).await?;
    }
    Ok(())
}

/// What the names of a platform's volumes begin with.
fn prefix(platform_id: &str) -> String {
    format!("cflite-{platform_id}-lifecycle-")
}
