//! What a running platform leaves in its data dir for the commands: a lock that tells whether one
//! runs, and a file that tells where.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Held while the platform runs; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub struct DataDirLock(#[expect(dead_code, reason = "holds the lock by being open")] File);

impl DataDirLock {
    /// Takes the lock; `None` = another platform has it.
    pub fn take(data_dir: &Path) -> io::Result<Option<Self>> {
        let path = data_dir.join("cflite.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether a platform runs on this data dir.
    pub fn is_taken(data_dir: &Path) -> bool {
        data_dir.is_dir() && matches!(Self::take(data_dir), Ok(None))
    }
}

/// Where a running platform is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Version of the binary.
    pub version: String,
    /// When it became ready.
    pub started_at: crate::base::Timestamp,
    /// System domain.
    pub domain: String,
    /// Address it listens on.
    pub bind: std::net::IpAddr,
    /// HTTP port.
    pub http_port: u16,
    /// HTTPS port.
    pub https_port: u16,
    /// Registry port on 127.0.0.1.
    pub registry_port: u16,
}

impl Running {
    fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("running.json")
    }

    /// Tells the commands; replaced atomically.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        let draft = data_dir.join("running.json.new");
        std::fs::write(&draft, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(draft, Self::path(data_dir))
    }

    /// What the last platform told, whether it still runs or not.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(data_dir)).ok()?).ok()
    }

    /// Removes what was told.
    pub fn remove(data_dir: &Path) {
        if let Err(error) = std::fs::remove_file(Self::path(data_dir))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "cannot remove running.json");
        }
    }

    /// `http://api.cf.localhost:8080`.
    pub fn api_url(&self) -> String {
        url("http", &format!("api.{}", self.domain), self.http_port, 80)
    }

    /// `https://api.cf.localhost:8443`.
    pub fn https_api_url(&self) -> String {
        url(
            "https",
            &format!("api.{}", self.domain),
            self.https_port,
            443,
        )
    }

    /// The API under a name that this machine can resolve: `*.localhost` is loopback by RFC 6761,
    /// but not every resolver knows, and the API answers on `localhost` as well.
    pub fn resolvable_api_url(&self) -> String {
        use std::net::ToSocketAddrs;
        let name = format!("api.{}", self.domain);
        let known = (name.as_str(), self.http_port)
            .to_socket_addrs()
            .is_ok_and(|mut found| found.next().is_some());
        if known {
            self.api_url()
        } else {
            url("http", "localhost", self.http_port, 80)
        }
    }

    /// The platform by address, for requests of our own.
    pub fn local_url(&self) -> String {
        let host = if self.bind.is_unspecified() {
            "127.0.0.1".to_owned()
        } else {
            self.bind.to_string()
        };
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        format!("http://{host}:{}", self.http_port)
    }

    /// The URL of a host name over HTTP.
    pub fn app_url(&self, host: &str) -> String {
        url("http", host, self.http_port, 80)
    }
}

fn url(scheme: &str, host: &str, port: u16, usual: u16) -> String {
    if port == usual {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_platform_holds_a_data_dir() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert!(!DataDirLock::is_taken(dir.path()));
        let lock = DataDirLock::take(dir.path()).expect("lock");
        assert!(lock.is_some());
        assert!(DataDirLock::is_taken(dir.path()));
        assert!(DataDirLock::take(dir.path()).expect("no fault").is_none());
        drop(lock);
        assert!(!DataDirLock::is_taken(dir.path()));
    }
}
