//! The background process: starting, finding and stopping it.
//!
//! Only the lock on the data dir shows whether a platform runs; `running.json`, which a killed
//! platform leaves behind, counts only while the lock is held. Only the known holder of the lock is
//! signalled.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::allocator;
use crate::base::private_file;
use crate::platform::{DataDirLock, Holder, LockState, Paused, Running};
pub(super) use crate::telemetry::own_log::LOG;

/// Starts this binary again, detached, with its output in the log file.
pub(super) fn start_detached(data_dir: &Path) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("cannot find the cflite binary")?;
    let mut command = Command::new(program);
    command
        .args(std::env::args_os().skip(1))
        .arg("--foreground");
    spawn_detached(command, data_dir)
}

/// How a process was started, to start it again after it was stopped.
#[derive(Debug)]
pub(super) struct Recorded {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Recorded {
    /// `None` when there is no such process, or no `/proc`.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let read = |what: &str| -> Option<Vec<OsString>> {
            let bytes = std::fs::read(format!("/proc/{pid}/{what}")).ok()?;
            let words = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
            Some(
                words
                    .map(|word| OsString::from_vec(word.to_vec()))
                    .collect(),
            )
        };
        let environment = read("environ").unwrap_or_default().into_iter();
        let pair = |text: OsString| {
            let text = text.into_vec();
            let at = text.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (text[..at].to_vec(), text[at + 1..].to_vec());
            Some((OsString::from_vec(name), OsString::from_vec(value)))
        };
        Some(Self {
            arguments: read("cmdline")?.split_off(1),
            environment: environment.filter_map(pair).collect(),
        })
    }

    /// Whether a service manager started it.
    pub(super) fn is_service(&self) -> bool {
        let mut names = self.environment.iter().map(|(name, _)| name);
        names.any(|name| name == "NOTIFY_SOCKET")
    }

    /// As a platform was started that was paused.
    pub(super) fn with(paused: &Paused) -> Self {
        Self {
            arguments: paused.arguments.clone(),
            environment: paused.environment.clone(),
        }
    }

    /// The words after the name of the program.
    pub(super) fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// The variables that cflite reads.
    pub(super) fn settings(&self) -> Vec<(OsString, OsString)> {
        let ours = |name: &str| {
            let prefixes = ["CFLITE_", "OTEL_", "DOCKER_"];
            let proxies = ["http_proxy", "https_proxy", "no_proxy", "all_proxy"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
                || proxies.contains(&name.to_ascii_lowercase().as_str())
        };
        let all = self.environment.iter();
        all.filter(|(name, _)| name.to_str().is_some_and(ours))
            .cloned()
            .collect()
    }

    /// Starts this binary with the words of the process, and its variables before those of this one.
    pub(super) fn start_with_own(self, data_dir: &Path) -> anyhow::Result<Child> {
        let program = std::env::current_exe().context("cannot find the cflite binary")?;
        let mut command = Command::new(program);
        command.args(self.arguments).envs(self.environment);
        spawn_detached(command, data_dir)
    }

    /// Starts this binary as the process was started.
    pub(super) fn start(self, data_dir: &Path) -> anyhow::Result<Child> {
        let program = std::env::current_exe().context("cannot find the cflite binary")?;
        let mut command = Command::new(program);
        command
            .args(self.arguments)
            .env_clear()
            .envs(self.environment);
        spawn_detached(command, data_dir)
    }
}

fn spawn_detached(mut command: Command, data_dir: &Path) -> anyhow::Result<Child> {
    let log = data_dir.join(LOG);
    let open = || {
        let mut options = private_file::options();
        options.create(true).append(true).open(&log)
    };
    let out = open().with_context(|| format!("cannot open {}", log.display()))?;
    let errors = open()?;
    command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        // Its own process group, so that Ctrl-C in the terminal does not reach it.
        .process_group(0);
    allocator::set_for(&mut command);
    command.spawn().context("cannot start the platform")
}

/// Waits until a platform is ready: the one started as `child`, or one that another process starts.
pub(super) fn wait_until_ready(
    mut child: Option<&mut Child>,
    data_dir: &Path,
    limit: Duration,
) -> anyhow::Result<Running> {
    let deadline = Instant::now() + limit;
    loop {
        let own = child.as_ref().map(|child| child.id());
        match find(data_dir)? {
            State::Running(running, _) if own.is_none_or(|pid| pid == running.pid) => {
                return Ok(running);
            }
            State::Stopped if own.is_none() => {
                bail!(
                    "the platform that was starting or stopping exited; run `cflite up` again\n{}",
                    tail(data_dir, 12)
                );
            }
            _ => {}
        }
        if let Some(child) = &mut child
            && let Some(status) = child.try_wait()?
        {
            bail!(
                "the platform exited while starting ({status})\n{}",
                tail(data_dir, 12)
            );
        }
        if Instant::now() > deadline {
            bail!(
                "the platform is not ready after {} s; see `cflite logs`\n{}",
                limit.as_secs(),
                tail(data_dir, 12)
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// State of a data dir's platform.
#[derive(Debug)]
pub(super) enum State {
    /// It does not run.
    Stopped,
    /// It is starting or stopping. `None` = its process is unknown.
    Changing(Option<Holder>),
    /// It runs in this process.
    Running(Running, Holder),
}

impl State {
    /// Its addresses, if it runs.
    pub(super) fn running(self) -> Option<Running> {
        match self {
            Self::Running(running, _) => Some(running),
            Self::Stopped | Self::Changing(_) => None,
        }
    }
}

/// Finds the platform of a data dir, without disturbing it.
pub(super) fn find(data_dir: &Path) -> anyhow::Result<State> {
    let held = DataDirLock::check(data_dir)
        .with_context(|| format!("cannot check the lock in {}", data_dir.display()))?;
    let LockState::Held(holder) = held else {
        return Ok(State::Stopped);
    };
    let recorded = Running::read(data_dir);
    Ok(match (holder, recorded) {
        (Some(holder), Some(running)) if running.pid == holder.pid => {
            State::Running(running, holder)
        }
        (Some(holder), _) => State::Changing(Some(holder)),
        // A platform of a version that records its process only in `running.json`.
        (None, Some(running)) => {
            let holder = Holder::with_pid(running.pid);
            if holder.runs_this_program() {
                State::Running(running, holder)
            } else {
                State::Changing(None)
            }
        }
        (None, None) => State::Changing(None),
    })
}

/// The running platform, or an error that says how to start one.
pub(super) fn get(data_dir: &Path) -> anyhow::Result<Running> {
    match find(data_dir)? {
        State::Running(running, _) => Ok(running),
        State::Changing(_) => bail!(
            "cflite is starting or stopping on {}: try again in a moment",
            data_dir.display()
        ),
        State::Stopped => bail!(
            "cflite is not running on {}: start it with `cflite up`",
            data_dir.display()
        ),
    }
}

/// Locks a data dir, so that no platform starts on it while a command works on it; `None` when
/// there is no such folder.
pub(super) fn lock_data_dir(data_dir: &Path) -> anyhow::Result<Option<DataDirLock>> {
    if !data_dir.is_dir() {
        return Ok(None);
    }
    let lock = DataDirLock::take(data_dir)
        .with_context(|| format!("cannot lock {}", data_dir.display()))?;
    let lock = lock.with_context(|| {
        format!(
            "another cflite was started on {} in the meantime: try again",
            data_dir.display()
        )
    })?;
    Ok(Some(lock))
}

/// Terminates the platform and waits for its end; false when it did not run.
pub(super) fn stop(data_dir: &Path, limit: Duration) -> anyhow::Result<bool> {
    let holder = match find(data_dir)? {
        State::Stopped => return Ok(false),
        State::Running(_, holder) | State::Changing(Some(holder)) => holder,
        State::Changing(None) => bail!(
            "an unknown process holds the lock on {}: find it with `fuser {}` and terminate it",
            data_dir.display(),
            data_dir.join("cflite.lock").display()
        ),
    };
    let pid = Pid::from_raw(i32::try_from(holder.pid).context("invalid process id")?);
    // The id may be reused as soon as the process has ended.
    if !holder.is_alive() {
        return Ok(true);
    }
    match kill(pid, Signal::SIGTERM) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => bail!("cannot signal process {pid}: {error}"),
    }
    let deadline = Instant::now() + limit;
    while holder.is_alive() && DataDirLock::check(data_dir)? != LockState::Free {
        if Instant::now() > deadline {
            bail!(
                "process {pid} did not exit within {} s; see `cflite logs`",
                limit.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

/// The last lines of the platform's log.
pub(super) fn tail(data_dir: &Path, lines: usize) -> String {
    let text = std::fs::read(data_dir.join(LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_running(pid: u32, data_dir: &Path) {
        let running = Running {
            pid,
            version: "0".to_owned(),
            started_at: crate::base::Timestamp::from_micros(0),
            domain: "cf.localhost".to_owned(),
            bind: std::net::IpAddr::from([127, 0, 0, 1]),
            http_port: 1,
            https_port: 2,
            ssh_port: None,
            dns_port: None,
            registry_port: 3,
            registry_mirror_port: None,
        };
        running.write(data_dir).expect("written");
    }

    #[test]
    fn the_file_of_a_killed_platform_does_not_count_also_while_the_next_starts() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut other = Command::new("sleep").arg("60").spawn().expect("a process");
        write_running(other.id(), dir.path());
        let limit = Duration::from_secs(5);
        assert!(matches!(find(dir.path()), Ok(State::Stopped)));
        assert!(!stop(dir.path(), limit).expect("nothing to stop"));

        let lock = DataDirLock::take(dir.path()).expect("lock");
        let own = std::process::id();
        match find(dir.path()).expect("no fault") {
            State::Changing(Some(holder)) => assert_eq!(holder.pid, own),
            state => panic!("{state:?}"),
        }
        write_running(own, dir.path());
        let found = find(dir.path()).expect("no fault").running();
        assert_eq!(found.map(|running| running.pid), Some(own));
        drop(lock);
        assert_eq!(other.try_wait().expect("state"), None, "it still runs");
        other.kill().expect("killed");
        other.wait().expect("ended");
    }

    #[test]
    fn an_unknown_holder_is_not_signalled() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut other = Command::new("sleep").arg("60").spawn().expect("a process");
        let _lock = DataDirLock::take(dir.path()).expect("lock");
        // As after an older version, which records its process only in `running.json`, was killed.
        std::fs::write(dir.path().join("cflite.lock"), "").expect("emptied");
        write_running(other.id(), dir.path());
        assert!(matches!(find(dir.path()), Ok(State::Changing(None))));
        let error = stop(dir.path(), Duration::from_secs(5)).expect_err("refused");
        assert!(error.to_string().contains("fuser"), "{error}");
        assert_eq!(other.try_wait().expect("state"), None, "it still runs");
        other.kill().expect("killed");
        other.wait().expect("ended");
    }
}
