//! `backup.json`: what a backup holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::create::describe;
use super::super::places::Folder;
use super::super::{Error, Manifest};
use super::{BLOBS, DATABASE, FILES, VOLUMES};
use crate::blobs::Blob;

/// Files of a data dir without which its database is worthless, or that belong to its owner.
pub const KEYS: &[&str] = &[
    "secret-key",
    "admin-password",
    "services.yml",
    "pki/authority.pem",
    "ssh-host-key",
];

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contents {
    /// The snapshot.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// Some of [`KEYS`].
    pub files: Vec<KeyFile>,
}

/// A file of the data dir.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyFile {
    /// Its path in the data dir.
    pub name: String,
    /// Its bytes.
    #[serde(flatten)]
    pub content: Blob,
}

/// What of `backup.json` is no part of the snapshot.
#[derive(Deserialize)]
struct Files {
    files: Vec<KeyFile>,
}

/// An entry and the file that it is.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) what: Blob,
    pub(super) path: PathBuf,
}

impl Contents {
    /// What a backup of a snapshot holds.
    pub(super) fn of(manifest: Manifest, data_dir: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();
        for name in KEYS {
            let path = data_dir.join(name);
            if path.exists() {
                files.push(KeyFile {
                    name: (*name).to_owned(),
                    content: describe(&path)?,
                });
            }
        }
        Ok(Self { manifest, files })
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, Error> {
        // The snapshot's own checks come first: those of a newer cflite may hold more.
        let manifest = Manifest::parse(text)?;
        let listed: Files = serde_json::from_slice(text)
            .map_err(|error| Error::damaged(super::CONTENTS, error.to_string()))?;
        for file in &listed.files {
            if !KEYS.contains(&file.name.as_str()) {
                let why = format!("it lists the file {:?}, which no platform has", file.name);
                return Err(Error::damaged(super::CONTENTS, why));
            }
        }
        Ok(Self {
            manifest,
            files: listed.files,
        })
    }

    /// All bytes, uncompressed.
    pub fn size(&self) -> u64 {
        let files = self.files.iter().map(|file| file.content.size);
        self.manifest.own_size() + self.manifest.shared_size() + files.sum::<u64>()
    }

    /// All entries but the first, by their names. The snapshot is in `folder`, the files in `data_dir`.
    pub(super) fn entries(&self, folder: &Folder, data_dir: &Path) -> BTreeMap<String, Entry> {
        let manifest = &self.manifest;
        let database = Entry {
            what: manifest.database.clone(),
            path: folder.database(),
        };
        let files = self.files.iter().map(|file| {
            let entry = Entry {
                what: file.content.clone(),
                path: data_dir.join(&file.name),
            };
            (format!("{FILES}{}", file.name), entry)
        });
        let volumes = manifest.volumes.iter().map(|volume| {
            let entry = Entry {
                what: volume.tar.clone(),
                path: folder.volume(&volume.instance_guid),
            };
            (format!("{VOLUMES}{}.tar", volume.instance_guid), entry)
        });
        let blobs = manifest.blobs.iter().map(|blob| {
            let entry = Entry {
                what: blob.clone(),
                path: folder.blob(&blob.digest),
            };
            (format!("{BLOBS}{}", blob.digest.hex()), entry)
        });
        std::iter::once((DATABASE.to_owned(), database))
            .chain(files)
            .chain(volumes)
            .chain(blobs)
            .collect()
    }
}
