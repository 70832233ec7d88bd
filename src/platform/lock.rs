//! The lock on a data dir: whether a platform runs there, and in which process.
//!
//! The kernel releases the lock however its holder ends, so it cannot be stale. The holder writes
//! its process id and start time into the locked file, as the id alone may have been reused. A
//! check takes a shared lock for a moment: concurrent checks do not see each other, and a platform
//! that starts at the same time waits for them.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::base::private_file;

const FILE: &str = "cflite.lock";

/// A check holds the lock for microseconds; in older versions exclusively.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// The lock, held while the platform runs.
#[derive(Debug)]
pub struct DataDirLock(#[expect(dead_code, reason = "holds the lock by being open")] File);

/// A process, distinguishable from a later one with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its boot id and start time; `None` where the system does not provide them.
    pub start: Option<String>,
}

/// State of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockState {
    /// No platform holds it.
    Free,
    /// A platform holds it; `None` = one of a version that does not record its process.
    Held(Option<Holder>),
}

impl DataDirLock {
    /// Takes the lock; `None` = another platform holds it.
    pub fn take(data_dir: &Path) -> io::Result<Option<Self>> {
        let path = data_dir.join(FILE);
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            let mut options = private_file::options();
            // Not truncated, as another process may hold and read it.
            let open = options.read(true).write(true).create(true).truncate(false);
            let mut file = open.open(&path)?;
            match file.try_lock() {
                // In the meantime `reset` may have removed the folder and `up` recreated it.
                Ok(()) if !is_at(&file, &path)? => {}
                Ok(()) => {
                    write_holder(&mut file, &Holder::this_process())?;
                    return Ok(Some(Self(file)));
                }
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() > deadline => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Checks who holds the lock, without disturbing a start.
    pub fn check(data_dir: &Path) -> io::Result<LockState> {
        let mut file = match File::open(data_dir.join(FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(LockState::Free),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(LockState::Free),
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => {
                let mut text = Vec::new();
                file.read_to_end(&mut text)?;
                // An older version that writes nothing leaves what the previous holder wrote.
                let holder = serde_json::from_slice(&text).ok();
                Ok(LockState::Held(holder.filter(Holder::is_alive)))
            }
        }
    }
}

impl Holder {
    /// This process.
    pub fn this_process() -> Self {
        Self::with_pid(std::process::id())
    }

    /// The process that has this id now.
    pub fn with_pid(pid: u32) -> Self {
        Self {
            pid,
            start: start_of(pid),
        }
    }

    /// Whether it still runs. Another process with its id does not count.
    pub fn is_alive(&self) -> bool {
        start_of(self.pid) == self.start
    }

    /// Whether it runs a binary of the same name as this process.
    pub fn runs_this_program(&self) -> bool {
        let name = |path: PathBuf| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let own = std::env::current_exe().ok().and_then(name);
        let its = std::fs::read_link(format!("/proc/{}/exe", self.pid)).ok();
        // The kernel appends ` (deleted)` when an upgrade replaced the file.
        let its = its.and_then(name);
        own.is_some()
            && own.as_deref()
                == its
                    .as_deref()
                    .map(|name| name.trim_end_matches(" (deleted)"))
    }
}

/// Boot id and start time: `None` when there is no such process, or no `/proc`.
fn start_of(pid: u32) -> Option<String> {
    const STARTED: usize = 19;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything; the fields begin after the last one.
    let (_, fields) = stat.rsplit_once(") ")?;
    let started = fields.split(' ').nth(STARTED)?;
    Some(format!("{}/{started}", boot.trim()))
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_holder(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(holder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(dir: &Path) -> Option<DataDirLock> {
        DataDirLock::take(dir).expect("no fault")
    }

    fn state(dir: &Path) -> LockState {
        DataDirLock::check(dir).expect("no fault")
    }

    #[test]
    fn only_one_platform_locks_a_data_dir_and_records_its_process() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert_eq!(state(dir.path()), LockState::Free);
        let lock = taken(dir.path());
        assert!(lock.is_some());
        let own = Holder::this_process();
        assert_eq!(state(dir.path()), LockState::Held(Some(own)));
        assert!(taken(dir.path()).is_none());
        drop(lock);
        assert_eq!(state(dir.path()), LockState::Free);
        assert!(taken(dir.path()).is_some());
    }

    #[test]
    fn a_check_is_not_seen_by_others_and_does_not_prevent_a_start() {
        let dir = tempfile::tempdir().expect("temporary folder");
        drop(taken(dir.path()));
        let checking = File::open(dir.path().join(FILE)).expect("lock file");
        checking.try_lock_shared().expect("free");
        assert_eq!(state(dir.path()), LockState::Free, "a check is no holder");
        let start = std::thread::scope(|threads| {
            let start = threads.spawn(|| taken(dir.path()));
            checking.unlock().expect("unlocked");
            start.join().expect("no panic")
        });
        assert!(start.is_some());
    }

    #[test]
    fn a_check_creates_no_file() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert_eq!(state(&dir.path().join("missing")), LockState::Free);
        assert_eq!(state(dir.path()), LockState::Free);
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn another_process_with_the_same_id_is_not_the_holder() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let lock = taken(dir.path());
        let path = dir.path().join(FILE);
        let reused = Holder {
            start: Some("an-older-boot/1".to_owned()),
            ..Holder::this_process()
        };
        assert!(!reused.is_alive());
        for written in [serde_json::to_vec(&reused).expect("JSON"), Vec::new()] {
            std::fs::write(&path, written).expect("written");
            assert_eq!(state(dir.path()), LockState::Held(None));
        }
        drop(lock);
        assert!(Holder::this_process().is_alive());
        assert!(Holder::this_process().runs_this_program());
        assert!(!Holder::with_pid(1).runs_this_program());
        let gone = Holder {
            pid: u32::MAX,
            start: Some("this-boot/1".to_owned()),
        };
        assert!(!gone.is_alive());
    }

    #[test]
    fn a_lock_on_a_removed_folder_does_not_count() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let lock = taken(dir.path());
        std::fs::remove_file(dir.path().join(FILE)).expect("removed");
        assert!(taken(dir.path()).is_some(), "the new file has a new lock");
        drop(lock);
    }
}
