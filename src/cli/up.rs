//! `cflite up`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use super::{Session, allocator, credentials, process, show};
use crate::config::{Config, profiles};
use crate::platform::{self, Running};

/// How to start.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Stay in the foreground and log to standard error
    #[arg(long)]
    foreground: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.foreground {
        allocator::apply();
    }
    let options = session.options.clone();
    profiles::prepare(&options)?;
    let config = session.options.resolve()?;
    platform::prepare_data_dir(&config.data_dir)?;
    if arguments.foreground {
        platform::run_until_stopped(config, || options.clone().resolve())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut child = None;
    let step = match process::find(&config.data_dir)? {
        process::State::Running(running, _) => {
            if !session.json {
                show::note(&format!(
                    "cflite is already running (process {})",
                    running.pid
                ));
            }
            summary(&config, &running, session.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        process::State::Changing(_) => {
            show::Step::begin("wait for the cflite that is already starting")
        }
        process::State::Stopped => {
            let step = show::Step::begin("start cflite");
            child = Some(process::start_detached(&config.data_dir)?);
            step
        }
    };
    match process::wait_until_ready(child.as_mut(), &config.data_dir, Duration::from_secs(60)) {
        Ok(running) => {
            step.done("");
            summary(&config, &running, session.json)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            step.failed("");
            Err(error)
        }
    }
}

fn summary(config: &Config, running: &Running, as_json: bool) -> anyhow::Result<()> {
    let password = credentials::password(config).context("cannot read the admin's password")?;
    if as_json {
        show::json(&json!({
            "api": running.api_url(),
            "api_https": running.https_api_url(),
            "console": running.console_url(),
            "ssh": running.ssh_address(),
            "user": "admin",
            "password": password.expose(),
            "data_dir": config.data_dir,
            "pid": running.pid,
        }));
        return Ok(());
    }
    show::line("");
    show::line(&format!("API        {}", running.api_url()));
    show::line(&format!("API (TLS)  {}", running.https_api_url()));
    show::line(&format!("Console    {}", running.console_url()));
    if let Some(ssh) = running.ssh_address() {
        show::line(&format!("SSH        {ssh}"));
    }
    show::line("User       admin");
    show::line(&format!("Password   {}", password.expose()));
    show::line(&format!("Data       {}", config.data_dir.display()));
    show::line("");
    show::line(&format!("  cf api {}", running.resolvable_api_url()));
    show::line(&format!("  cf auth admin {}", password.expose()));
    Ok(())
}
