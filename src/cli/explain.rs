//! `cflite explain`: why an app does not run, as the console shows it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, encode, included};
use super::{Session, block_on, credentials, process, show};

/// What to explain.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 0 when nothing is wrong, and with 3 when something is.

cflite explain shop
cflite explain acme/dev/shop --json")]
pub(super) struct Arguments {
    /// APP, SPACE/APP, ORGANIZATION/SPACE/APP or a guid
    app: String,
}

/// The status for scripts when something is wrong.
const WRONG: u8 = 3;

/// The explanation as the platform gives it.
#[derive(Deserialize)]
struct Explanation {
    wrong: bool,
    title: String,
    advice: String,
    evidence: Vec<String>,
    manifest: Vec<String>,
    commands: Vec<String>,
    last_lines: Vec<String>,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    let found = block_on(async {
        let client = Client::sign_in(&running, &password).await?;
        let guid = find(&client, &arguments.app).await?;
        client.get(&format!("/cflite/apps/{guid}/explain")).await
    })?;
    let explanation: Explanation = serde_json::from_value(found.clone())?;
    if session.json {
        show::line(&serde_json::to_string_pretty(&found)?);
    } else {
        for line in text(&explanation) {
            show::line(&line);
        }
    }
    Ok(if explanation.wrong {
        ExitCode::from(WRONG)
    } else {
        ExitCode::SUCCESS
    })
}

/// The guid of an app.
pub(super) async fn find(client: &Client, name: &str) -> anyhow::Result<String> {
    let parts: Vec<&str> = name.split('/').collect();
    let (app, place) = parts.split_last().context("name an app")?;
    let list = client
        .get(&format!(
            "/v3/apps?names={}&include=space.organization&per_page=100",
            encode(app)
        ))
        .await?;
    let mut found = Vec::new();
    for app in list["resources"].as_array().into_iter().flatten() {
        let space = included(
            &list,
            "spaces",
            &app["relationships"]["space"]["data"]["guid"],
        );
        let space = space.context("an app without its space")?;
        let owner = &space["relationships"]["organization"]["data"]["guid"];
        let organization = included(&list, "organizations", owner);
        let organization = organization.context("a space without its organization")?;
        let names = [text_of(organization, "name"), text_of(space, "name")];
        if names.ends_with(place) {
            let guid = text_of(app, "guid").to_owned();
            found.push((
                guid,
                format!("{}/{}/{}", names[0], names[1], text_of(app, "name")),
            ));
        }
    }
    match found.as_slice() {
        [(guid, _)] => Ok(guid.clone()),
        [] if place.is_empty() && is_guid(name) => Ok(name.to_owned()),
        [] => bail!("there is no app {name:?}"),
        several => {
            let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
            bail!(
                "several apps have this name: {}; name one of them",
                names.join(", ")
            )
        }
    }
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn is_guid(name: &str) -> bool {
    name.len() == 36
        && name
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn text(explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![explanation.title.clone()];
    if !explanation.advice.is_empty() {
        lines.push(explanation.advice.clone());
    }
    let parts = [
        ("What says so:", &explanation.evidence),
        ("In the manifest:", &explanation.manifest),
        ("Commands:", &explanation.commands),
        ("Its last lines:", &explanation.last_lines),
    ];
    for (head, part) in parts {
        if !part.is_empty() {
            lines.push(String::new());
            lines.push(head.to_owned());
            lines.extend(part.iter().map(|line| format!("  {line}")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_shown() {
        let explanation = Explanation {
            wrong: true,
            title: "It needs more".to_owned(),
            advice: "Give it more.".to_owned(),
            evidence: Vec::new(),
            manifest: vec!["memory: 256M".to_owned()],
            commands: Vec::new(),
            last_lines: vec!["bye".to_owned()],
        };
        let expected = [
            "It needs more",
            "Give it more.",
            "",
            "In the manifest:",
            "  memory: 256M",
            "",
            "Its last lines:",
            "  bye",
        ];
        assert_eq!(text(&explanation), expected);
        assert!(is_guid("0d1e2f3a-0000-4000-8000-000000000000") && !is_guid("shop"));
    }
}
