//! The container that runs `nft` in the machine's network.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::ruleset;
use super::settings::HelperImage;
use crate::base::Megabytes;
use crate::docker::{
    Container, ContainerSpec, DockerError, Engine, ExecSpec, LABEL_KIND, LABEL_OWNER, Labels,
    MachineNetwork,
};

/// [`LABEL_KIND`] of the helper.
const KIND: &str = "network";
/// `nft` takes milliseconds.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes that are kept of what `nft` says.
const LONGEST_ANSWER: usize = 4096;
const MEMORY: Megabytes = Megabytes(64);
const PROCESSES: i64 = 32;
/// Replaces the table by the one it reads, and says whether packets between containers come to it.
const APPLY: &str =
    "nft -f - || exit; cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || true";

/// Why the table could not be replaced.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The daemon has no image for the helper.
    #[error("the stack's image is not on the Docker daemon yet")]
    NoImage,
    /// The daemon.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// `nft` refused it.
    #[error("nft: {0}")]
    Refused(String),
    /// It did not end.
    #[error("nft did not end within {} s", LIMIT.as_secs())]
    TooSlow,
}

/// Whether packets between containers of one network come to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) between_containers: bool,
}

/// The name of a platform's table.
pub(super) fn table(platform_id: &str) -> String {
    format!("cflite-{platform_id}")
}

/// Replaces the table; starts the helper where it does not run.
pub(super) async fn apply(
    engine: &dyn Engine,
    image: &dyn HelperImage,
    platform_id: &str,
    text: &str,
) -> Result<Applied, Failure> {
    let id = match find(engine, platform_id).await? {
        Some(running) if running.is_running() => running.id,
        found => {
            if let Some(ended) = found {
                engine.remove(&ended.id).await?;
            }
            let image = image.reference().await?.ok_or(Failure::NoImage)?;
            let id = engine.create(&spec(platform_id, image)).await?;
            engine.start(&id).await?;
            id
        }
    };
    let said = run(engine, &id, text).await?;
    Ok(Applied {
        between_containers: said.trim() == "1",
    })
}

/// Removes the table and the helper of a platform. Without a helper there is no table, unless somebody else
/// removed the helper: the table then names bridges that do not exist any more.
pub async fn remove(engine: &dyn Engine, platform_id: &str) -> Result<(), DockerError> {
    let Some(helper) = find(engine, platform_id).await? else {
        return Ok(());
    };
    let running = if helper.is_running() {
        Ok(())
    } else {
        engine.start(&helper.id).await
    };
    let removed = match running {
        Ok(()) => run(engine, &helper.id, &ruleset::removal(&table(platform_id))).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = removed {
        tracing::warn!(%error, "cannot remove the rules of the platform's networks");
    }
    engine.remove(&helper.id).await
}

async fn find(engine: &dyn Engine, platform_id: &str) -> Result<Option<Container>, DockerError> {
    Ok(engine.list(&labels(platform_id)).await?.into_iter().next())
}

fn labels(platform_id: &str) -> Labels {
    [(LABEL_OWNER, platform_id), (LABEL_KIND, KIND)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn spec(platform_id: &str, image: String) -> ContainerSpec {
    ContainerSpec {
        name: format!("cflite-network-{platform_id}"),
        image,
        entrypoint: Some(vec!["sleep".to_owned()]),
        command: vec!["infinity".to_owned()],
        user: Some("0:0".to_owned()),
        labels: labels(platform_id),
        memory: Some(MEMORY),
        pids_limit: Some(PROCESSES),
        stop_timeout: Some(Duration::from_secs(1)),
        machine_network: MachineNetwork::Changes,
        ..ContainerSpec::default()
    }
}

async fn run(engine: &dyn Engine, id: &str, text: &str) -> Result<String, Failure> {
    let spec = ExecSpec {
        command: ["bash", "-c", APPLY].map(str::to_owned).into(),
        ..ExecSpec::default()
    };
    let work = async {
        let mut executing = engine.exec(id, &spec).await?;
        let input = &mut executing.streams.input;
        // It may end before it read all; then it says why.
        if input.write_all(text.as_bytes()).await.is_ok() {
            input.shutdown().await.ok();
        }
        let mut said = Vec::new();
        while let Some(part) = executing.streams.output.next().await {
            let (_, bytes) = part?;
            let room = LONGEST_ANSWER.saturating_sub(said.len()).min(bytes.len());
            said.extend_from_slice(&bytes[..room]);
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        match engine.exec_status(&executing.id).await? {
            0 => Ok(said),
            status => Err(Failure::Refused(format!(
                "exit status {status}: {}",
                said.trim()
            ))),
        }
    };
    timeout(LIMIT, work).await.map_err(|_| Failure::TooSlow)?
}
