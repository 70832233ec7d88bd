//! Why an app could not be staged.

use super::Explanation;
use super::facts::Facts;
use super::lines::{self, Said};

/// Lines of staging that are shown.
const SHOWN: usize = 20;

/// The cause when the newest package or build failed.
pub(super) fn explain(facts: &Facts) -> Option<Explanation> {
    if let Some(error) = &facts.failed_package {
        return Some(
            Explanation::new("package", "The app's files could not be stored")
                .advice("Push again. For a Docker image, check its name and the credentials.")
                .evidence(error.clone())
                .command(format!("cf push {}", facts.word)),
        );
    }
    let error = facts.failed_build.as_ref()?;
    let staging: Vec<String> = { facts.lines.iter() }
        .filter(|line| line.source_type.starts_with("STG"))
        .map(|line| line.text.clone())
        .collect();
    let mut found = cause(facts, error).evidence(error.clone());
    found.last_lines = staging[staging.len().saturating_sub(SHOWN)..].to_vec();
    if facts.is_started && facts.has_droplet {
        found = found.evidence("The app still runs what was staged before.");
    }
    Some(found.command(format!("cf logs {} --recent", facts.word)))
}

fn cause(facts: &Facts, error: &str) -> Explanation {
    let lower = error.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    if error.contains("NoAppDetectedError") || error.contains("CNBDetectFailed") {
        return Explanation::new("not-detected", "No buildpack knows this kind of app")
            .advice(
                "Push the folder that holds package.json, requirements.txt, Gemfile, pom.xml, go.mod or the like, \
                 or name the buildpack.",
            )
            .manifest("buildpacks:")
            .manifest("- nodejs_buildpack");
    }
    if has("stack") && (has("image") || has("not built") || has("no such")) {
        return Explanation::new("stack-missing", "The image of the stack is not there")
            .advice("Build or load the stack image once; it is kept.")
            .command("cflite images list")
            .command("cflite images build");
    }
    if has("out of memory") {
        return Explanation::new("staging-memory", "Staging needs more memory")
            .advice("Give the app more memory; staging gets at least as much.")
            .manifest(format!(
                "memory: {}M",
                facts.process("web").memory.max(512) * 2
            ));
    }
    if has("out of disk") {
        return Explanation::new("staging-disk", "Staging needs more disk")
            .advice("Leave out what the app does not need (.cfignore), or give it more disk.")
            .manifest(format!(
                "disk_quota: {}M",
                facts.process("web").disk.max(512) * 2
            ));
    }
    if has("timeout") {
        return Explanation::new("staging-timeout", "Staging took too long").advice(
            "The lines below say what it was busy with; a slow download is the usual reason.",
        );
    }
    let said = lines::said(facts.lines.iter(), |said| matches!(said, Said::DiskFull));
    if said.is_some() {
        return Explanation::new("disk-full", "The disk is full")
            .advice("Free some space on this machine.")
            .command("cflite doctor");
    }
    if error.contains("BuildpackCompileFailed") || error.contains("CNBBuildFailed") {
        return Explanation::new("compile-failed", "The buildpack could not build the app")
            .advice("The last lines of staging say at what it failed, such as a dependency that does not exist.");
    }
    Explanation::new("staging-failed", "Staging failed")
        .advice("The last lines of staging say more.")
}
