//! `cflite credentials`.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::{Session, process, show};
use crate::base::Secret;
use crate::config::Config;
use crate::platform;

pub(super) fn run(session: Session) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let password = password(&config)?;
    let running = process::find(&config.data_dir)?.running();
    let api = running.as_ref().map(|running| running.api_url());
    let console = running.as_ref().map(|running| running.console_url());
    if session.json {
        show::json(&json!({
            "api": api,
            "console": console,
            "user": "admin",
            "password": password.expose(),
        }));
    } else {
        show::line(&format!(
            "API        {}",
            api.as_deref().unwrap_or("(not running)")
        ));
        if let Some(console) = console {
            show::line(&format!("Console    {console}"));
        }
        show::line("User       admin");
        show::line(&format!("Password   {}", password.expose()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The admin's password: from the configured file, else the one generated at first boot.
pub(super) fn password(config: &Config) -> anyhow::Result<Secret<String>> {
    platform::read_admin_password(config)?.with_context(|| {
        format!(
            "no password in {} yet: start the platform with `cflite up`",
            config.data_dir.display()
        )
    })
}
