//! `snapshot.json`: what a snapshot holds.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use super::places::Folder;
use crate::base::{Timestamp, private_file};
use crate::blobs::{Blob, Digest};
use crate::db;

/// The layout of the folder.
const FORMAT: u32 = 1;

/// What a snapshot holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout of the folder: 1.
    pub format: u32,
    /// The cflite that made it.
    pub version: String,
    /// The schema of its database.
    pub schema: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The system domain of the platform.
    pub domain: String,
    /// The database.
    pub database: Blob,
    /// All blobs that the database references.
    pub blobs: Vec<Blob>,
    /// Blobs whose files the platform did not have.
    pub missing: Vec<Digest>,
    /// The volumes of data services.
    pub volumes: Vec<VolumeCopy>,
}

/// The copy of a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeCopy {
    /// The guid of the service instance.
    pub instance_guid: String,
    /// The tar.
    #[serde(flatten)]
    pub tar: Blob,
}

/// How much of a snapshot is read to check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Sizes, and the digests of what is not shared with the platform.
    Quick,
    /// Every byte.
    Whole,
}

impl Manifest {
    pub(super) fn new(
        (created_at, domain): (Timestamp, &str),
        database: Blob,
        (blobs, missing): (Vec<Blob>, Vec<Digest>),
        volumes: Vec<VolumeCopy>,
    ) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: db::CURRENT_VERSION,
            created_at,
            domain: domain.to_owned(),
            database,
            blobs,
            missing,
            volumes,
        }
    }

    /// Bytes that only this snapshot takes up.
    pub fn own_size(&self) -> u64 {
        let volumes = self.volumes.iter().map(|volume| volume.tar.size);
        self.database.size + volumes.sum::<u64>()
    }

    /// Bytes of blobs, which take up no space as long as the platform has them too.
    pub fn shared_size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }

    pub(super) fn write(&self, folder: &Folder) -> Result<(), Error> {
        let path = folder.manifest();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::damaged("the list of its files", error.to_string()))?;
        private_file::replace(&path, &text).map_err(Error::storage("write", &path))
    }

    /// `None` when there is none.
    pub(super) fn read(folder: &Folder) -> Result<Option<Self>, Error> {
        let path = folder.manifest();
        match std::fs::read(&path) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::storage("read", &path)(error)),
        }
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            version: String,
            schema: i64,
        }
        let broken = |error: serde_json::Error| Error::damaged("snapshot.json", error.to_string());
        // What a newer one has besides is not known here.
        let head: Head = serde_json::from_slice(text).map_err(broken)?;
        if head.format != FORMAT || head.schema > db::CURRENT_VERSION {
            return Err(Error::TooNew {
                version: head.version,
                found: head.schema,
                known: db::CURRENT_VERSION,
            });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(broken)?;
        let is_guid = |text: &str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            !text.is_empty() && text.bytes().all(allowed)
        };
        match { manifest.volumes.iter() }.find(|volume| !is_guid(&volume.instance_guid)) {
            Some(wrong) => Err(Error::damaged(
                "snapshot.json",
                format!("{:?} is not a guid", wrong.instance_guid),
            )),
            None => Ok(manifest),
        }
    }

    /// Checks that everything is there, and is what it was.
    pub(super) fn check(&self, folder: &Folder, check: Check) -> Result<(), Error> {
        let database = folder.database();
        same("the database", &database, &self.database, Check::Whole)?;
        for volume in &self.volumes {
            let what = format!("the volume of the service {}", volume.instance_guid);
            let path = folder.volume(&volume.instance_guid);
            same(&what, &path, &volume.tar, Check::Whole)?;
        }
        for blob in &self.blobs {
            let what = format!("the blob {}", blob.digest);
            same(&what, &folder.blob(&blob.digest), blob, check)?;
        }
        if check == Check::Whole {
            db::check(&database)?;
        }
        Ok(())
    }
}

fn same(what: &str, path: &Path, expected: &Blob, check: Check) -> Result<(), Error> {
    let size = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::damaged(what, "its file is missing"));
        }
        Err(error) => return Err(Error::storage("read", path)(error)),
    };
    if size != expected.size {
        let why = format!("it has {size} bytes and should have {}", expected.size);
        return Err(Error::damaged(what, why));
    }
    if check == Check::Whole {
        let found = Digest::of_file(path).map_err(Error::storage("read", path))?;
        if found != expected.digest {
            return Err(Error::changed(what, &expected.digest, &found));
        }
    }
    Ok(())
}
