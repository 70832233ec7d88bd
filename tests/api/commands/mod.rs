//! Every command of the cf CLI v8, played as the CLI plays it, and `docs/compatibility.md` written
//! from what came out. The command files beside this one say which requests a command makes;
//! [`script`] says in which language.
//!
//! `COMMAND=create-org` plays that command alone and prints every answer that was not as expected;
//! `UPDATE=1` writes the document instead of comparing it.

pub(crate) mod endpoints;
mod report;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cflite::testing::{Answer, TestApp};

use self::endpoints::Endpoint;
use self::report::{Outcome, Row};
use super::play::player::{Played, Player};
use super::play::script::{self, Claim, Script};

/// Commands of cf CLI v8.18.4 that its parser knows and its help lists.
const COMMANDS: usize = 190;

/// The folder of the files.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/commands")
}

/// Whether the platform does not serve what was asked for.
fn unknown(answer: &Answer) -> bool {
    answer.detail() == "Unknown request"
}

/// What a command's script came to.
async fn outcome(player: &mut Player<'_>, script: &Script) -> Outcome {
    if let Claim::Local(why) = &script.claim {
        return Outcome::Local(why.clone());
    }
    match (player.play(&script.steps).await, &script.claim) {
        (Ok(()), Claim::Refuses(text)) => Outcome::Refused(text.clone()),
        (Ok(()), _) => Outcome::Works,
        (Err(stop), Claim::Later(area)) => {
            let status = stop.answer.as_ref().map_or(0, |answer| answer.status);
            if (100..500).contains(&status) {
                Outcome::Later(area.clone())
            } else {
                Outcome::Fails(format!("{}: {}", stop.line, stop.why))
            }
        }
        (Err(stop), _) if stop.answer.as_ref().is_some_and(unknown) => Outcome::Missing,
        (Err(stop), _) => {
            let answer = stop.answer.map(|answer| answer.body.to_string());
            let answer = answer.unwrap_or_default();
            let answer: String = answer.chars().take(1500).collect();
            Outcome::Fails(format!("{}\n    {}\n    {answer}", stop.line, stop.why))
        }
    }
}

struct Results {
    groups: Vec<(String, Vec<Row>)>,
    played: BTreeSet<Played>,
    failures: Vec<String>,
}

/// Plays all commands; each in a fresh org and space of one platform.
async fn play_all(app: &TestApp) -> Results {
    let admin = app.admin().await.expect("the admin");
    let only = std::env::var("COMMAND").ok();
    let mut results = Results {
        groups: Vec::new(),
        played: BTreeSet::new(),
        failures: Vec::new(),
    };
    let mut number = 0;
    for (title, scripts) in script::groups(&folder()) {
        let mut rows = Vec::new();
        for script in scripts {
            let name = script.names.join(", ");
            if only
                .as_ref()
                .is_some_and(|only| !script.names.contains(only))
            {
                continue;
            }
            number += 1;
            let mut player = Player::new(app, &admin, number).await;
            let outcome = outcome(&mut player, &script).await;
            if let Outcome::Fails(why) = &outcome {
                results.failures.push(format!("cf {name}\n    {why}"));
            }
            if matches!(outcome, Outcome::Works) {
                results.played.extend(player.played);
            }
            rows.push(Row { name, outcome });
        }
        results.groups.push((title, rows));
    }
    results
}

#[tokio::test]
async fn every_command_plays_as_the_compatibility_page_says() {
    let app = TestApp::with_stack().await.unwrap();
    let results = play_all(&app).await;
    let admin = app.admin().await.unwrap();
    let mut endpoints = Endpoint::all();
    for endpoint in &mut endpoints {
        endpoint.probe(&admin).await;
    }
    let mut failures = results.failures;
    for played in &results.played {
        let path = played.path.split('?').next().unwrap_or_default();
        let known = endpoints
            .iter_mut()
            .filter(|endpoint| endpoint.method == played.method)
            .filter_map(|endpoint| endpoint.distance(path).map(|far| (far, endpoint)))
            .min_by_key(|(far, _)| *far);
        match known {
            Some((_, endpoint)) => endpoint.played |= played.status < 400,
            None if path.starts_with("/v3") && played.status < 400 => {
                failures.push(format!(
                    "{} {path} is no endpoint of endpoints.txt",
                    played.method
                ));
            }
            None => {}
        }
    }
    assert!(failures.is_empty(), "{}\n", failures.join("\n\n"));
    if std::env::var_os("COMMAND").is_none() {
        let counted: usize = results.groups.iter().map(|(_, rows)| rows.len()).sum();
        assert_eq!(counted, COMMANDS, "commands in the files");
        report::compare(&report::page(&results.groups, &endpoints));
    }
}
