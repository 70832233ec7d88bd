//! The volumes of data services, as tars: read and written through containers that never run.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Error;
use super::manifest::VolumeCopy;
use crate::base::private_file;
use crate::blobs::{Blob, Digest};
use crate::data_services;
use crate::docker::{
    Access, ByteReader, Container, ContainerSpec, DockerError, Engine, Freeze, LABEL_KIND,
    LABEL_OWNER, Labels, Upload, VolumeMount,
};

/// Value of [`LABEL_KIND`] of the containers through which volumes are opened.
const KIND: &str = "helper";
/// Where they have the volume: names in the tars begin with the last part.
const PARENT: &str = "/cflite";
const FOLDER: &str = "/cflite/volume";
const CHUNK: usize = 256 * 1024;

/// The volumes of one platform.
pub(super) struct Volumes<'a> {
    engine: &'a dyn Engine,
    platform_id: &'a str,
}

impl<'a> Volumes<'a> {
    pub(super) fn new(engine: &'a dyn Engine, platform_id: &'a str) -> Self {
        Self {
            engine,
            platform_id,
        }
    }

    /// Copies the volume of an instance into a file; the service stands still meanwhile, if it runs.
    pub(super) async fn save(&self, guid: &str, to: &Path) -> Result<VolumeCopy, Error> {
        let service = data_services::container_name(self.platform_id, guid);
        let service = self.engine.inspect(&service).await?;
        let door = self.open(guid, service.as_ref()).await?;
        let running = service.filter(Container::is_running);
        let saved = async {
            let Some(running) = &running else {
                return self.download(&door, to).await;
            };
            self.engine.freeze(&running.id, Freeze::Begin).await?;
            let saved = self.download(&door, to).await;
            let thawed = self.engine.freeze(&running.id, Freeze::End).await;
            let saved = saved?;
            thawed?;
            Ok(saved)
        };
        let saved: Result<Blob, Error> = saved.await;
        self.engine.remove(&door).await?;
        Ok(VolumeCopy {
            instance_guid: guid.to_owned(),
            tar: saved?,
        })
    }

    /// Replaces the volume of an instance, whose container is gone, by what a file has.
    pub(super) async fn load(&self, guid: &str, from: &Path) -> Result<(), Error> {
        self.remove(guid).await?;
        let name = data_services::volume_name(self.platform_id, guid);
        let labels = data_services::labels_of(self.platform_id, guid);
        self.engine.ensure_volume(&name, &labels).await?;
        let door = self.open(guid, None).await?;
        let file = tokio::fs::File::open(from).await;
        let loaded = match file.map_err(Error::storage("read", from)) {
            Ok(file) => {
                let upload = Upload {
                    folder: PARENT.to_owned(),
                    tar: Box::pin(file),
                };
                let uploaded = self.engine.upload(&door, upload).await;
                uploaded.map_err(Error::from)
            }
            Err(error) => Err(error),
        };
        self.engine.remove(&door).await?;
        loaded
    }

    /// Removes the volume of an instance, and whatever container has it.
    pub(super) async fn remove(&self, guid: &str) -> Result<(), Error> {
        let name = data_services::volume_name(self.platform_id, guid);
        for container in self.engine.list_by_volume(&name).await? {
            self.engine.remove(&container.id).await?;
        }
        Ok(self.engine.remove_volume(&name).await?)
    }

    /// A container that has the volume and is never started, so that every image will do.
    async fn open(&self, guid: &str, service: Option<&Container>) -> Result<String, Error> {
        let name = format!("cflite-{}-volume-{guid}", self.platform_id);
        // One that was cut off left it.
        self.engine.remove(&name).await?;
        let of_service = match service {
            Some(container) => self.engine.image(&container.image).await?,
            None => None,
        };
        let image = match of_service {
            Some(image) => image.id,
            None => {
                let names = self.engine.image_names("").await?;
                names.into_iter().next().ok_or(Error::NoImage)?
            }
        };
        let labels = Labels::from([
            (LABEL_OWNER.to_owned(), self.platform_id.to_owned()),
            (LABEL_KIND.to_owned(), KIND.to_owned()),
        ]);
        let spec = ContainerSpec {
            name,
            image,
            command: vec!["true".to_owned()],
            labels,
            volumes: vec![VolumeMount {
                volume: data_services::volume_name(self.platform_id, guid),
                folder: FOLDER.to_owned(),
                access: Access::ReadWrite,
            }],
            ..ContainerSpec::default()
        };
        Ok(self.engine.create(&spec).await?)
    }

    async fn download(&self, door: &str, to: &Path) -> Result<Blob, Error> {
        let mut tar = self.engine.download(door, FOLDER).await?;
        let copied = copy(&mut tar, to).await;
        copied.map_err(Error::storage("write", to))
    }
}

/// Copies all bytes into a new file, which is on disk afterwards.
async fn copy(tar: &mut ByteReader, to: &Path) -> std::io::Result<Blob> {
    let file = private_file::options()
        .write(true)
        .create_new(true)
        .open(to)?;
    let mut file = tokio::fs::File::from_std(file);
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = tar.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        size += read as u64;
        file.write_all(&chunk[..read]).await?;
    }
    file.sync_all().await?;
    let digest = Digest::parse(&format!("sha256:{}", hex::encode(hasher.finalize())));
    let digest = digest.map_err(std::io::Error::other)?;
    Ok(Blob { digest, size })
}

/// All containers of services, which are made anew from the rows.
pub(super) async fn remove_services(
    engine: &dyn Engine,
    platform_id: &str,
) -> Result<(), DockerError> {
    let services = Labels::from([
        (LABEL_OWNER.to_owned(), platform_id.to_owned()),
        (LABEL_KIND.to_owned(), data_services::KIND.to_owned()),
    ]);
    for container in engine.list(&services).await? {
        engine.remove(&container.id).await?;
    }
    Ok(())
}
