//! The containers of an app under development: requests to their supervisor, and its answers
//! (`images/lifecycle/dev`).

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::AsyncReadExt;
use tokio_util::io::SyncIoBridge;

use super::super::app_folder::{AppFolder, Entry};
use super::plan::Action;
use crate::docker::{DockerError, Engine, LABEL_OWNER, Labels, Upload};
use crate::scheduler::LABEL_APP;

const STATE: &str = "/tmp/cflite-dev/state";
const REQUEST: &str = "tmp/cflite-dev/request";
/// Largest answer that is read.
const LARGEST_STATE: u64 = 64 * 1024;
/// Buffer between the writer of a tar and Docker.
const PIPE: usize = 256 * 1024;
/// How long an app may take to listen after a change.
const PATIENCE: Duration = Duration::from_secs(60);
/// Delay between two looks at the state.
const POLL: Duration = Duration::from_millis(20);

/// What a supervisor last reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The request it has carried out.
    pub(super) number: u64,
    /// `starting`, `listening`, `running` or `exited STATUS`.
    pub(super) condition: String,
}

/// A change for a container.
pub(super) struct Request {
    /// Greater than those before.
    pub(super) number: u64,
    /// [`Action::Copy`] or [`Action::Restart`].
    pub(super) action: Action,
    /// Path in the folder, what it is, and its place below `/home/vcap`.
    pub(super) changed: Vec<(String, Entry, String)>,
    /// Places below `/home/vcap`.
    pub(super) deleted: Vec<String>,
}

/// The running containers of an app whose supervisor is ready, with its state.
pub(super) async fn developed(
    engine: &dyn Engine,
    platform: &str,
    app: &str,
) -> anyhow::Result<Vec<(String, State)>> {
    let labels = [(LABEL_OWNER, platform), (LABEL_APP, app)];
    let labels: Labels = labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let mut found = Vec::new();
    for container in engine.list(&labels).await? {
        if container.is_running()
            && let Some(state) = state(engine, &container.id).await?
        {
            found.push((container.id, state));
        }
    }
    Ok(found)
}

/// `None` while there is no supervisor.
async fn state(engine: &dyn Engine, id: &str) -> anyhow::Result<Option<State>> {
    let tar = match engine.download(id, STATE).await {
        Ok(tar) => tar,
        Err(DockerError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    tar.take(LARGEST_STATE).read_to_end(&mut bytes).await?;
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut text = String::new();
    for entry in archive.entries()? {
        entry?.read_to_string(&mut text)?;
    }
    Ok(parse(&text))
}

fn parse(text: &str) -> Option<State> {
    let (number, condition) = text.trim().split_once(' ')?;
    Some(State {
        number: number.parse().ok()?,
        condition: condition.to_owned(),
    })
}

/// Sends a change to a container and waits until it is served; returns the condition of the app.
/// `None` when the container ended meanwhile.
pub(super) async fn send(
    engine: &dyn Engine,
    id: &str,
    folder: &Arc<AppFolder>,
    request: Request,
) -> anyhow::Result<Option<String>> {
    let number = request.number;
    let (reader, writer) = tokio::io::duplex(PIPE);
    let folder = folder.clone();
    let written = tokio::task::spawn_blocking(move || {
        let bridge = SyncIoBridge::new(writer);
        write(
            &folder,
            &request,
            io::BufWriter::with_capacity(PIPE, bridge),
        )
    });
    let upload = Upload {
        folder: "/".to_owned(),
        tar: Box::pin(reader),
    };
    match engine.upload(id, upload).await {
        Err(DockerError::NotFound(_)) => return Ok(None),
        uploaded => uploaded?,
    }
    written.await?.context("cannot read the changed files")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match state(engine, id).await? {
            None => return Ok(None),
            Some(state) if state.number >= number && state.condition != "starting" => {
                return Ok(Some(state.condition));
            }
            Some(_) if Instant::now() > deadline => bail!(
                "the app does not listen {} s after the change; see `cf logs`",
                PATIENCE.as_secs()
            ),
            Some(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// The files, then the request: the supervisor sees it when all the rest is there.
fn write(folder: &AppFolder, request: &Request, out: impl Write) -> io::Result<()> {
    let mut tar = tar::Builder::new(out);
    for (path, entry, place) in &request.changed {
        folder.append(&mut tar, (path, entry), &format!("home/vcap/{place}"))?;
    }
    let bytes = encode(request);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, REQUEST, &bytes[..])?;
    tar.into_inner()?.flush()
}

fn encode(request: &Request) -> Vec<u8> {
    let action = match request.action {
        Action::Copy => "none",
        Action::Restart | Action::Stage => "restart",
    };
    let number = request.number.to_string();
    let deleted = request.deleted.iter().map(String::as_str);
    let fields = [number.as_str(), action].into_iter().chain(deleted);
    fields
        .chain(["end"])
        .flat_map(|field| field.bytes().chain([0]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_and_a_condition() {
        let state = parse("3 exited 1\n").expect("parsed");
        assert_eq!((state.number, state.condition.as_str()), (3, "exited 1"));
        assert_eq!(parse(""), None);
        assert_eq!(parse("x listening"), None);
    }

    #[test]
    fn a_request_ends_with_its_mark() {
        let request = Request {
            number: 7,
            action: Action::Restart,
            changed: Vec::new(),
            deleted: vec!["app/a b".to_owned()],
        };
        assert_eq!(encode(&request), b"7\0restart\0app/a b\0end\0");
    }
}
