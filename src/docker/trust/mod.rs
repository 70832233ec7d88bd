//! The volume with the certificate authorities of this machine, for the containers of a stack.
//!
//! Behind a proxy that signs TLS anew, or in a company with authorities of its own, the owner of a
//! machine adds certificates to it. Images must not hold them: an image is the same on every
//! machine, and may leave it. So containers of a stack find `/etc/ssl/certs` as a read-only volume:
//! the authorities of the image together with those of the machine, in the forms that OpenSSL (a
//! folder with hashed names), curl, Go, Python, Ruby and PHP (one file) read. Java's key store is
//! made from that file by its buildpack; Node.js has to be told of it ([`Trust::variable`]).
//!
//! A machine without own authorities has no such volume, and its containers no mount.
//!
//! Decisions:
//! - `update-ca-certificates` of the image makes the files, in a container without a network: the
//!   hashed names are OpenSSL's affair.
//! - The volume's name holds a hash of the machine's certificates and the version of the files' form:
//!   running containers keep an earlier one until they end.
//! - Apps may read the files at any moment, so complete ones are not written again: a file that is
//!   written last marks them, and is looked for once per process.

mod machine;

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tar::{Builder, Header};
use tokio::sync::RwLock;
use tokio_util::io::StreamReader;

use super::{
    Access, ContainerSpec, DockerError, Engine, LABEL_KIND, LABEL_OWNER, Labels, LogReading,
    Upload, VolumeMount,
};

pub use machine::{Authority, PLATFORM_PREFIX, authorities};

/// Where containers look for authorities.
const FOLDER: &str = "/etc/ssl/certs";
/// All of them in one file.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Value of [`LABEL_KIND`] of the volume and of the container that fills it.
const KIND: &str = "trust";
/// Changes with the form of the files.
const FORM: &[u8] = b"1";
/// Hexadecimal digits of the hash in names.
const DIGITS: usize = 12;
/// How long the files may take, on a slow machine.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Where the volume is while it is filled.
const WORK: &str = "/mnt";
/// Links lead out of the folder, so the files themselves are copied.
const SCRIPT: &str = "set -eu
test ! -e /mnt/.complete || exit 0
update-ca-certificates > /dev/null
cp -rL /etc/ssl/certs/. /mnt/
sync -f /mnt
touch /mnt/.complete
";

/// The authorities that containers of one owner get; clones share their volume.
#[derive(Clone, Debug, Default)]
pub struct Trust(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    /// Value of [`LABEL_OWNER`].
    owner: String,
    authorities: Vec<Authority>,
    hash: String,
    /// Whether this process found or made the volume complete.
    complete: RwLock<bool>,
}

impl Trust {
    /// Nothing is created yet. Without authorities containers get neither volume nor variable.
    pub fn new(owner: &str, authorities: Vec<Authority>) -> Self {
        if authorities.is_empty() {
            return Self::default();
        }
        let hash = hash(&authorities);
        Self(Some(Arc::new(Inner {
            owner: owner.to_owned(),
            authorities,
            hash,
            complete: RwLock::default(),
        })))
    }

    /// The mount of a container.
    pub fn mount(&self) -> Option<VolumeMount> {
        let inner = self.0.as_ref()?;
        Some(inner.mounted(FOLDER, Access::ReadOnly))
    }

    /// A variable of a container: Node.js trusts what it was built with, and this file.
    pub fn variable(&self) -> Option<(String, String)> {
        let named = ("NODE_EXTRA_CA_CERTS".to_owned(), BUNDLE.to_owned());
        self.0.as_ref().map(|_| named)
    }

    /// Whether nothing has to be done before a container with the volume is created.
    pub async fn is_complete(&self, engine: &dyn Engine) -> Result<bool, DockerError> {
        match &self.0 {
            Some(inner) => Ok(*inner.complete.read().await && inner.exists(engine).await?),
            None => Ok(true),
        }
    }

    /// Ensures that the volume is there and complete. `image` is one of a stack that the daemon has.
    pub async fn ensure(&self, engine: &dyn Engine, image: &str) -> Result<(), DockerError> {
        let Some(inner) = &self.0 else {
            return Ok(());
        };
        if self.is_complete(engine).await? {
            return Ok(());
        }
        // Others wait, and find it complete.
        let mut complete = inner.complete.write().await;
        let exists = inner.exists(engine).await?;
        if *complete && exists {
            return Ok(());
        }
        *complete = false;
        if !exists {
            inner.create(engine).await?;
        }
        let helper = inner.helper(engine, image).await?;
        let filled = tokio::time::timeout(TIMEOUT, inner.fill(engine, &helper)).await;
        engine.remove(&helper).await?;
        filled.unwrap_or_else(|_| Err(failed("it took longer than two minutes")))?;
        *complete = true;
        tracing::info!(
            volume = inner.volume(),
            "containers trust the authorities of this machine"
        );
        Ok(())
    }

    /// Removes the volumes of earlier authorities of an owner that no container has any more, and
    /// what an interrupted process left of filling them.
    pub async fn remove_unused(&self, engine: &dyn Engine, owner: &str) -> Result<(), DockerError> {
        let current = self.0.as_ref().map(|inner| inner.volume());
        for helper in engine.list(&labels(owner)).await? {
            if !helper
                .volumes
                .iter()
                .any(|name| Some(name) == current.as_ref())
            {
                engine.remove(&helper.id).await?;
            }
        }
        for name in engine.volume_names(&prefix(owner)).await? {
            if Some(&name) == current.as_ref() {
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
}

impl Inner {
    fn volume(&self) -> String {
        format!("{}{}", prefix(&self.owner), self.hash)
    }

    fn mounted(&self, folder: &str, access: Access) -> VolumeMount {
        VolumeMount {
            volume: self.volume(),
            folder: folder.to_owned(),
            access,
        }
    }

    /// Whether the volume exists and was not created by the daemon for some container, after users
    /// pruned it.
    async fn exists(&self, engine: &dyn Engine) -> Result<bool, DockerError> {
        let found = engine.volume(&self.volume()).await?;
        Ok(found.is_some_and(|volume| volume.labels == labels(&self.owner)))
    }

    async fn create(&self, engine: &dyn Engine) -> Result<(), DockerError> {
        match engine.remove_volume(&self.volume()).await {
            // One in use is filled as it is, and looked at again for the next container.
            Ok(()) | Err(DockerError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        engine
            .ensure_volume(&self.volume(), &labels(&self.owner))
            .await
    }

    /// The container that fills the volume; one of an interrupted process is replaced.
    async fn helper(&self, engine: &dyn Engine, image: &str) -> Result<String, DockerError> {
        let name = self.volume();
        let spec = ContainerSpec {
            name: name.clone(),
            image: image.to_owned(),
            entrypoint: Some(Vec::new()),
            command: ["bash", "-c", SCRIPT].map(str::to_owned).into(),
            environment: vec![(
                "PATH".to_owned(),
                "/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            )],
            user: Some("0:0".to_owned()),
            labels: labels(&self.owner),
            network: Some("none".to_owned()),
            volumes: vec![self.mounted(WORK, Access::ReadWrite)],
            ..ContainerSpec::default()
        };
        match engine.create(&spec).await {
            Err(DockerError::Conflict(_)) => {
                engine.remove(&name).await?;
                engine.create(&spec).await
            }
            created => created,
        }
    }

    async fn fill(&self, engine: &dyn Engine, helper: &str) -> Result<(), DockerError> {
        let upload = Upload {
            folder: "/".to_owned(),
            tar: Box::pin(Cursor::new(tar_of(&self.authorities)?)),
        };
        engine.upload(helper, upload).await?;
        engine.start(helper).await?;
        let code = engine.wait(helper).await?;
        if code == 0 {
            return Ok(());
        }
        let said = said(engine, helper).await.unwrap_or_default();
        Err(failed(&format!("exit status {code}: {said}")))
    }
}

/// What a container wrote, on one line.
async fn said(engine: &dyn Engine, id: &str) -> Result<String, DockerError> {
    use futures_util::TryStreamExt;
    use tokio::io::AsyncReadExt;
    let frames = engine.logs(id, 0, LogReading::Once).await?;
    let bytes = frames
        .map_ok(|frame| frame.data)
        .map_err(std::io::Error::other);
    let mut text = Vec::new();
    let mut reader = StreamReader::new(bytes).take(1000);
    let read = reader.read_to_end(&mut text).await;
    read.map_err(|error| DockerError::Failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn failed(why: &str) -> DockerError {
    DockerError::Failed(format!(
        "the certificate authorities of this machine cannot be added to containers: {why}"
    ))
}

/// The certificates where `update-ca-certificates` finds them. Their names do not matter, but must
/// be simple.
fn tar_of(authorities: &[Authority]) -> Result<Vec<u8>, DockerError> {
    let mut tar = Builder::new(Vec::new());
    let mut fill = || {
        for (number, authority) in authorities.iter().enumerate() {
            let path = format!("usr/local/share/ca-certificates/machine-{number}.crt");
            let mut header = Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(authority.pem.len() as u64);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1_000_000_000);
            tar.append_data(&mut header, path, &authority.pem[..])?;
        }
        Ok::<_, std::io::Error>(())
    };
    fill().map_err(|error| failed(&error.to_string()))?;
    tar.into_inner().map_err(|error| failed(&error.to_string()))
}

fn hash(authorities: &[Authority]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(FORM);
    for authority in authorities {
        hasher.update(Sha256::digest(&authority.pem));
    }
    let mut hash = hex::encode(hasher.finalize());
    hash.truncate(DIGITS);
    hash
}

/// Removes all volumes of an owner that has no containers any more.
pub async fn remove_volumes(engine: &dyn Engine, owner: &str) -> Result<(), DockerError> {
    Trust::default().remove_unused(engine, owner).await
}

fn labels(owner: &str) -> Labels {
    [(LABEL_OWNER, owner), (LABEL_KIND, KIND)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// What the names of an owner's volumes begin with.
fn prefix(owner: &str) -> String {
    format!("cflite-{owner}-trust-")
}

#[cfg(test)]
mod tests;
