//! `cflite profiles`: the platforms of this machine.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::process::State;
use super::{Session, process, show};
use crate::config::{Config, Options, profiles};
use crate::platform::Paused;

/// A platform of this machine.
struct Found {
    name: Option<String>,
    config: Config,
    state: &'static str,
    api: Option<String>,
}

pub(super) fn run(session: &Session) -> anyhow::Result<ExitCode> {
    let names = profiles::list()?;
    let all = std::iter::once(None).chain(names.into_iter().map(Some));
    let mut found = Vec::new();
    for name in all {
        let is_default = name.is_none();
        let one = look(name)?;
        if !is_default || one.config.data_dir.exists() {
            found.push(one);
        }
    }
    if session.json {
        let all: Vec<Value> = found.iter().map(shown).collect();
        show::json(&json!({ "profiles": all }));
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        show::note(
            "There is no platform yet: `cflite up` starts one, `cflite up --profile NAME` another one.",
        );
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = { found.iter() }
        .map(|one| {
            vec![
                one.name.clone().unwrap_or_else(|| "(default)".to_owned()),
                one.state.to_owned(),
                one.api.clone().unwrap_or_default(),
                one.config.data_dir.display().to_string(),
            ]
        })
        .collect();
    show::table(&["profile", "state", "API", "data"], &rows);
    Ok(ExitCode::SUCCESS)
}

fn look(name: Option<String>) -> anyhow::Result<Found> {
    let options = Options {
        profile: name.clone(),
        ..Options::default()
    };
    let config = options.resolve()?;
    let (state, api) = match process::find(&config.data_dir)? {
        State::Running(running, _) => ("running", Some(running.api_url())),
        State::Changing(_) => ("starting or stopping", None),
        State::Stopped if Paused::read(&config.data_dir).is_some() => ("paused", None),
        State::Stopped => ("stopped", None),
    };
    Ok(Found {
        name,
        config,
        state,
        api,
    })
}

fn shown(one: &Found) -> Value {
    json!({
        "name": one.name,
        "state": one.state,
        "api": one.api,
        "data_dir": one.config.data_dir,
    })
}
