//! Why an app does not run: facts, one most likely cause, its evidence, and what to change.
//!
//! [`explain`] is pure. The page of an app, `cflite explain` and its JSON show what it returns, so
//! that they say the same. [`collect`] reads the facts through the API as the user who asks.

mod build;
pub(super) mod collect;
mod facts;
mod lines;
pub(super) mod route;
mod runs;
#[cfg(test)]
mod tests;

use serde::Serialize;

use facts::Facts;

/// What is wrong with an app, most likely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Explanation {
    /// The kind of cause, such as `out-of-memory`; `healthy` when nothing is wrong.
    pub(super) cause: &'static str,
    /// Whether something is wrong.
    pub(super) wrong: bool,
    /// The cause in a sentence.
    pub(super) title: String,
    /// What it means and what to do.
    pub(super) advice: String,
    /// What says so.
    pub(super) evidence: Vec<String>,
    /// Lines of the manifest to change; empty when none helps.
    pub(super) manifest: Vec<String>,
    /// Commands that help.
    pub(super) commands: Vec<String>,
    /// The last lines that the app wrote.
    pub(super) last_lines: Vec<String>,
}

impl Explanation {
    fn new(cause: &'static str, title: impl Into<String>) -> Self {
        Self {
            cause,
            wrong: true,
            title: title.into(),
            advice: String::new(),
            evidence: Vec::new(),
            manifest: Vec::new(),
            commands: Vec::new(),
            last_lines: Vec::new(),
        }
    }

    fn fine(cause: &'static str, title: impl Into<String>) -> Self {
        Self {
            wrong: false,
            ..Self::new(cause, title)
        }
    }

    fn advice(mut self, text: impl Into<String>) -> Self {
        self.advice = text.into();
        self
    }

    fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(text.into());
        self
    }

    fn manifest(mut self, line: impl Into<String>) -> Self {
        self.manifest.push(line.into());
        self
    }

    fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }
}

/// How many lines are shown as the last ones.
const SHOWN: usize = 20;

/// The most likely cause. What stops an app earlier counts more: staging, then the limits of a
/// quota, then instances.
pub(super) fn explain(facts: &Facts) -> Explanation {
    let mut found = build::explain(facts)
        .or_else(|| stopped(facts))
        .unwrap_or_else(|| runs::explain(facts));
    if found.wrong && found.last_lines.is_empty() {
        let own = facts.lines.iter().filter(|line| line.is_own());
        let own: Vec<String> = own.map(|line| line.text.clone()).collect();
        found.last_lines = own[own.len().saturating_sub(SHOWN)..].to_vec();
    }
    found
}

/// An app that nobody wants to run, or that no quota lets run.
fn stopped(facts: &Facts) -> Option<Explanation> {
    if facts.is_started {
        return None;
    }
    let name = &facts.word;
    if !facts.has_droplet {
        return Some(
            Explanation::fine("nothing-pushed", "Nothing was pushed to this app yet")
                .advice("Push the folder of the app.")
                .command(format!("cf push {name}")),
        );
    }
    let needed: u64 = facts
        .processes
        .iter()
        .map(|one| one.memory * one.instances)
        .sum();
    let tight = facts.quotas.iter().find(|quota| quota.left < needed);
    if let Some(quota) = tight {
        return Some(
            Explanation::new(
                "quota",
                format!("The quota {} has no room for this app", quota.name),
            )
            .advice(
                "Ask for less memory or fewer instances, stop other apps, or let a manager raise the quota.",
            )
            .evidence(format!(
                "The app needs {needed} MB; of {} MB of the quota {} MB are left.",
                quota.limit, quota.left
            ))
            .manifest(format!("memory: {}M", (quota.left / 2).max(64)))
            .command(format!("cf scale {name} -m {}M", (quota.left / 2).max(64))),
        );
    }
    Some(
        Explanation::fine("stopped", "The app is stopped")
            .advice("Its routes answer 404 until it starts.")
            .command(format!("cf start {name}")),
    )
}
