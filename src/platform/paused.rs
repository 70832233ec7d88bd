//! `paused.json`: how a platform was started that was paused, and what ran on it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::{Timestamp, private_file};

/// A platform that was paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// When.
    pub at: Timestamp,
    /// The words after the name of the program.
    pub arguments: Vec<OsString>,
    /// The variables that cflite reads.
    pub environment: Vec<(OsString, OsString)>,
    /// How many instances of apps took requests.
    pub instances: u64,
}

impl Paused {
    fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("paused.json")
    }

    /// Writes the file atomically, for its owner only.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        private_file::replace(&Self::path(data_dir), &serde_json::to_vec_pretty(self)?)
    }

    /// `None` when the platform is not paused.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(data_dir)).ok()?).ok()
    }

    /// Removes the file: the platform was started.
    pub(super) fn remove(data_dir: &Path) {
        if let Err(error) = std::fs::remove_file(Self::path(data_dir))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "cannot remove paused.json");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_until_the_platform_starts() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert_eq!(Paused::read(dir.path()), None);
        let paused = Paused {
            at: Timestamp::from_micros(1_000_000),
            arguments: vec!["up".into(), "--domain".into(), "ä".into()],
            environment: vec![("CFLITE_BIND".into(), "::1".into())],
            instances: 3,
        };
        paused.write(dir.path()).expect("written");
        assert_eq!(Paused::read(dir.path()), Some(paused));
        Paused::remove(dir.path());
        Paused::remove(dir.path());
        assert_eq!(Paused::read(dir.path()), None);
    }
}
