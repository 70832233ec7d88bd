//! The background process: starting it, finding it, ending it.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::platform::{DataDirLock, Running};

/// Name of the platform's log in the data dir.
pub(super) const LOG: &str = "cflite.log";

/// Starts this binary again, detached, with its output in the log file.
pub(super) fn start_detached(data_dir: &Path) -> anyhow::Result<Child> {
    let log = data_dir.join(LOG);
    let open = || OpenOptions::new().create(true).append(true).open(&log);
    let out = open().with_context(|| format!("cannot open {}", log.display()))?;
    let errors = open()?;
    let program = std::env::current_exe().context("cannot find my own binary")?;
    let mut command = Command::new(program);
    command
        .args(std::env::args_os().skip(1))
        .arg("--foreground")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        // A group of its own: Ctrl-C in the terminal is not for it.
        .process_group(0);
    command.spawn().context("cannot start the platform")
}

/// Waits until the platform started as `child` is ready.
pub(super) fn wait_until_ready(
    child: &mut Child,
    data_dir: &Path,
    limit: Duration,
) -> anyhow::Result<Running> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(running) = Running::read(data_dir).filter(|running| running.pid == child.id()) {
            return Ok(running);
        }
        if let Some(status) = child.try_wait()? {
            bail!(
                "the platform ended while starting ({status})\n{}",
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

/// The running platform of a data dir.
pub(super) fn find(data_dir: &Path) -> Option<Running> {
    DataDirLock::is_taken(data_dir)
        .then(|| Running::read(data_dir))
        .flatten()
}

/// The running platform, or an error that says how to start one.
pub(super) fn get(data_dir: &Path) -> anyhow::Result<Running> {
    find(data_dir).with_context(|| {
        format!(
            "cflite is not running on {}: start it with `cflite up`",
            data_dir.display()
        )
    })
}

/// Asks the platform to end and waits for it.
pub(super) fn stop(running: &Running, data_dir: &Path, limit: Duration) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(running.pid).context("impossible process id")?);
    kill(pid, Signal::SIGTERM).with_context(|| format!("cannot signal process {pid}"))?;
    let deadline = Instant::now() + limit;
    while DataDirLock::is_taken(data_dir) {
        if Instant::now() > deadline {
            bail!(
                "process {pid} has not ended after {} s; see `cflite logs`",
                limit.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The last lines of the platform's log.
pub(super) fn tail(data_dir: &Path, lines: usize) -> String {
    let text = std::fs::read(data_dir.join(LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
