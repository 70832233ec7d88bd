//! The Debian root file system that the stack is built on.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::ImagesError;
use super::words::Told;
use crate::docker::Engine;

/// Debian's own image.
const PUBLISHED: &str = "debian:bookworm-slim";
/// The one made here.
const MADE: &str = "cflite/base:bookworm";
/// Without any news for this long, no registry answers.
const SILENCE: Duration = Duration::from_secs(15);
const LONGEST_PULL: Duration = Duration::from_secs(300);
/// What the root file system leaves out: nobody reads manuals in a container.
const LEFT_OUT: [&str; 5] = [
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
];

/// The base's reference; it is pulled or made when the daemon has none.
pub(super) async fn find_or_make(engine: &dyn Engine, told: &Told) -> Result<String, ImagesError> {
    for present in [PUBLISHED, MADE] {
        if engine.image(present).await?.is_some() {
            return Ok(present.to_owned());
        }
    }
    let pull = match pull(engine, told).await {
        Ok(()) => return Ok(PUBLISHED.to_owned()),
        Err(why) => why,
    };
    told.say(&format!(
        "{PUBLISHED} can not be pulled ({pull}): mmdebstrap makes the base from packages"
    ));
    match make(engine, told).await {
        Ok(()) => Ok(MADE.to_owned()),
        Err(make) => Err(ImagesError::NoBase { pull, make }),
    }
}

/// Removes the base that was made here; one that was pulled is not ours. True when there was one.
pub(super) async fn remove(engine: &dyn Engine) -> Result<bool, ImagesError> {
    let there = engine.image(MADE).await?.is_some();
    if there {
        engine.remove_image(MADE).await?;
    }
    Ok(there)
}

/// Pulls; gives up soon when there is no news, later when it is slow.
async fn pull(engine: &dyn Engine, told: &Told) -> Result<(), String> {
    let (news, mut texts) = tokio::sync::mpsc::unbounded_channel::<String>();
    let begin = Instant::now();
    let mut pulling = std::pin::pin!(engine.pull(PUBLISHED, None, news));
    let mut open = true;
    loop {
        tokio::select! {
            done = &mut pulling => return done.map_err(|error| error.to_string()),
            text = texts.recv(), if open => match text {
                Some(text) => told.output(&text),
                None => open = false,
            },
            () = tokio::time::sleep(SILENCE) => return Err("no registry answers".to_owned()),
        }
        if begin.elapsed() > LONGEST_PULL {
            return Err("the registry is too slow".to_owned());
        }
    }
}

/// Makes the root file system from Debian's packages, straight into the daemon.
async fn make(engine: &dyn Engine, told: &Told) -> Result<(), String> {
    let mut command = Command::new("mmdebstrap");
    command.arg("--variant=minbase");
    for rule in LEFT_OUT {
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
        .map_err(|error| format!("mmdebstrap can not be started: {error}"))?;
    let (Some(tar), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("mmdebstrap has no output".to_owned());
    };
    let mut lines = BufReader::new(errors).lines();
    let listen = async {
        let mut last = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            told.output(&line);
            last = line;
        }
        last
    };
    // The name is given only to a whole file system: a cut tar must not become the base.
    let unfinished = format!("{MADE}-unfinished");
    let (imported, last, ended) = tokio::join!(
        engine.import(&unfinished, Box::pin(tar)),
        listen,
        child.wait()
    );
    let whole = match (ended, imported) {
        (Ok(status), Ok(())) if status.success() => engine.tag(&unfinished, MADE).await,
        (Ok(status), Ok(())) => return Err(format!("mmdebstrap ended with {status}: {last}")),
        (_, Err(error)) => return Err(format!("the base was not imported: {error} ({last})")),
        (Err(error), _) => return Err(format!("mmdebstrap was lost: {error}")),
    };
    drop(engine.remove_image(&unfinished).await);
    whole.map_err(|error| error.to_string())
}
