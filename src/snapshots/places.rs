//! Where a platform keeps its state, and where in a snapshot its parts are.

use std::path::{Path, PathBuf};

use super::Name;
use crate::blobs::{self, Digest};

/// What a snapshot holds; the last file that is written.
pub(super) const MANIFEST: &str = "snapshot.json";

/// Where a platform keeps its state.
#[derive(Debug, Clone)]
pub struct Places {
    /// The database.
    pub database: PathBuf,
    /// The store of blobs.
    pub blobs: PathBuf,
    /// The snapshots, a folder each.
    pub snapshots: PathBuf,
    /// Says that the platform is being put back.
    pub marker: PathBuf,
}

impl Places {
    /// Those of a data dir.
    pub fn of(data_dir: &Path) -> Self {
        Self {
            database: data_dir.join("cflite.db"),
            blobs: data_dir.join("blobs"),
            snapshots: data_dir.join("snapshots"),
            marker: data_dir.join("rewinding.json"),
        }
    }

    pub(super) fn snapshot(&self, name: &Name) -> Folder {
        Folder(self.snapshots.join(name.as_str()))
    }

    /// Where one is made.
    pub(super) fn unfinished(&self) -> Folder {
        Folder(self.snapshots.join(".new"))
    }

    /// Where one goes that is removed.
    pub(super) fn removed(&self) -> PathBuf {
        self.snapshots.join(".removed")
    }
}

/// The folder of a snapshot.
#[derive(Debug, Clone)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn manifest(&self) -> PathBuf {
        self.0.join(MANIFEST)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join("cflite.db")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        blobs::path_in(&self.blobs(), digest)
    }

    pub(super) fn volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }

    pub(super) fn volume(&self, instance_guid: &str) -> PathBuf {
        self.volumes().join(format!("{instance_guid}.tar"))
    }
}
