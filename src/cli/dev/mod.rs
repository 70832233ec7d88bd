//! `cflite dev`: what is saved in a folder is served at once by the app that was pushed from it.
//!
//! The app's processes run under a supervisor while the session lasts
//! (`cloud_controller::flows::development`). Changed files are copied into the containers; if the
//! language needs it the process is started again, or the folder staged again. A new container, as
//! after `cf push` or a crash, gets what its droplet lacks.

mod container;
mod package;
mod plan;
mod session;
mod target;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::app_folder::AppFolder;
use super::client::Client;
use super::{Session, block_on, credentials, process, show};
use crate::platform;
use session::Development;
use watch::Watch;

/// How often the platform is told that the session goes on: it ends one that was not kept for 20 s.
const KEEP: Duration = Duration::from_secs(5);
/// How often new containers are looked for.
const LOOK: Duration = Duration::from_millis(400);
/// How long the end of a session may take.
const END: Duration = Duration::from_secs(10);

/// What to develop.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Static files and PHP are copied; Node.js, Python, Ruby and other apps are started again; Go and Java,
and files that decide what is installed (package.json, requirements.txt, …), are staged again.
.cfignore is honoured. Ctrl-C ends the session, and the app runs its droplet again.")]
pub(super) struct Arguments {
    /// Name of a started app
    app: String,
    /// Folder that the app was pushed from
    #[arg(long, default_value = ".")]
    path: PathBuf,
    /// Organization of the app, when its name is not enough
    #[arg(long)]
    org: Option<String>,
    /// Space of the app, when its name is not enough
    #[arg(long)]
    space: Option<String>,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    let folder = Arc::new(AppFolder::open(&arguments.path)?);
    let engine = platform::connect_docker(&config);
    let platform = platform::platform_id(&config.data_dir)?.context("the platform has no id")?;
    block_on(async {
        let client = Client::sign_in(&running, &password).await?;
        let (org, space) = (arguments.org.as_deref(), arguments.space.as_deref());
        let app = target::find(&client, &arguments.app, org, space).await?;
        let watch = Watch::of(folder.root())?;
        let mut development = Development::of(client, engine, platform, app, folder).await?;
        development.json = session.json;
        let worked = work(&mut development, watch).await;
        let ended = tokio::time::timeout(END, development.end()).await;
        worked?;
        match ended {
            Ok(ended) => ended?,
            Err(_) => anyhow::bail!("the platform does not answer: the session ends in 20 seconds"),
        }
        if session.json {
            show::line(&json!({ "ended": true }).to_string());
        } else {
            show::line(&format!(
                "{} runs its droplet again.",
                development.app_name()
            ));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Serves changes until Ctrl-C or SIGTERM.
async fn work(development: &mut Development, mut watch: Watch) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    development.keep().await?;
    development.announce();
    let mut keep = interval(KEEP);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let served = tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            since = watch.changed() => development.serve_change(since).await,
            _ = look.tick() => development.serve_new_containers().await,
            _ = keep.tick() => development.keep().await,
        };
        // The platform or Docker may be restarting: the next look tries again.
        if let Err(error) = served {
            development.failed(&error);
        }
    }
}
