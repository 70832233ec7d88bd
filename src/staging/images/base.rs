//! The Debian root file system that the stack is built on.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::ImagesError;
use super::report::Reporter;
use crate::docker::Engine;

/// Debian's own image.
const PUBLISHED: &str = "debian:bookworm-slim";
/// The image built on this machine.
const BOOTSTRAPPED: &str = "cflite/base:bookworm";
/// A pull without progress for this long is abandoned.
const PULL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
const PULL_TIMEOUT: Duration = Duration::from_secs(300);
/// Excludes files from the root file system that containers do not need.
const DPKG_OPTIONS: [&str; 5] = [
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
];

/// The reference of the base; pulls or builds it if the daemon has none.
pub(super) async fn find_or_create(
    engine: &dyn Engine,
    reporter: &Reporter,
) -> Result<String, ImagesError> {
    for present in [PUBLISHED, BOOTSTRAPPED] {
        if engine.image(present).await?.is_some() {
            return Ok(present.to_owned());
        }
    }
    let pull = match pull(engine, reporter).await {
        Ok(()) => return Ok(PUBLISHED.to_owned()),
        Err(why) => why,
    };
    reporter.message(&format!(
        "cannot pull {PUBLISHED} ({pull}): building the base from packages with mmdebstrap"
    ));
    match bootstrap(engine, reporter).await {
        Ok(()) => Ok(BOOTSTRAPPED.to_owned()),
        Err(bootstrap) => Err(ImagesError::NoBase { pull, bootstrap }),
    }
}

/// Removes the base if it was built on this machine; a pulled one is kept. True if there was one.
pub(super) async fn remove(engine: &dyn Engine) -> Result<bool, ImagesError> {
    let present = engine.image(BOOTSTRAPPED).await?.is_some();
    if present {
        engine.remove_image(BOOTSTRAPPED).await?;
    }
    Ok(present)
}

/// Pulls the base; abandoned soon without progress, later if it is slow.
async fn pull(engine: &dyn Engine, reporter: &Reporter) -> Result<(), String> {
    let (progress, mut texts) = tokio::sync::mpsc::unbounded_channel::<String>();
    let begin = Instant::now();
    let mut pulling = std::pin::pin!(engine.pull(PUBLISHED, None, progress));
    let mut open = true;
    loop {
        tokio::select! {
            done = &mut pulling => return done.map_err(|error| error.to_string()),
            text = texts.recv(), if open => match text {
                Some(text) => reporter.output(&text),
                None => open = false,
            },
            () = tokio::time::sleep(PULL_IDLE_TIMEOUT) => return Err("no response from a registry".to_owned()),
        }
        if begin.elapsed() > PULL_TIMEOUT {
            return Err("the pull timed out".to_owned());
        }
    }
}

/// Builds the root file system from Debian's packages and imports it into the daemon.
async fn bootstrap(engine: &dyn Engine, reporter: &Reporter) -> Result<(), String> {
    let mut command = Command::new("mmdebstrap");
    command.arg("--variant=minbase");
    for rule in DPKG_OPTIONS {
        command.arg(format!("--dpkgopt={rule}"));
    }
    command
        .args(["--aptopt=Acquire::Languages \"none\"", "bookworm", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot start mmdebstrap: {error}"))?;
    let (Some(tar), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("mmdebstrap has no output".to_owned());
    };
    let mut lines = BufReader::new(errors).lines();
    let read_errors = async {
        let mut last = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            reporter.output(&line);
            last = line;
        }
        last
    };
    // Only a complete file system gets the final tag: a truncated tar must not become the base.
    let unfinished = format!("{BOOTSTRAPPED}-unfinished");
    let (imported, last, ended) = tokio::join!(
        engine.import(&unfinished, Box::pin(tar)),
        read_errors,
        child.wait()
    );
    let tagged = match (ended, imported) {
        (Ok(status), Ok(())) if status.success() => engine.tag(&unfinished, BOOTSTRAPPED).await,
        (Ok(status), Ok(())) => return Err(format!("mmdebstrap failed with {status}: {last}")),
        (_, Err(error)) => return Err(format!("importing the base failed: {error} ({last})")),
        (Err(error), _) => return Err(format!("waiting for mmdebstrap failed: {error}")),
    };
    drop(engine.remove_image(&unfinished).await);
    tagged.map_err(|error| error.to_string())
}
