//! `cflite doctor`: checks this machine and advises how to fix problems.
//!
//! `facts` is what was found out, without judgement; `gather` finds it out; `checks` judges it without
//! effects, so that every case is a row of a test; `mend` does what is safe without root.

mod checks;
mod daemon;
mod facts;
mod finding;
mod gather;
mod mend;

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Session, block_on, process, show};
use crate::config::Config;
use finding::{Finding, Grade};

/// What to do with what is found.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 0 when nothing is bad, and with 1 when something is; warnings do not count.
--fix does what needs no root: it builds missing stack images, and takes the data dir from other users.
For the rest it shows the commands.")]
pub(super) struct Arguments {
    /// Mend what can be mended without root, after asking
    #[arg(long)]
    fix: bool,
    /// Do not ask
    #[arg(long, requires = "fix")]
    yes: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let mut findings = examine(&config)?;
    if arguments.fix && mend::mend(&config, &findings, arguments.yes)? {
        findings = examine(&config)?;
    }
    if session.json {
        show::json(&findings.iter().map(as_json).collect());
    } else {
        report(&findings);
    }
    let failed = findings.iter().any(|finding| finding.grade == Grade::Bad);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The findings as a document, for a bundle.
pub(super) fn document(config: &Config) -> anyhow::Result<Value> {
    Ok(examine(config)?.iter().map(as_json).collect())
}

fn examine(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let found = process::find(&config.data_dir)?;
    let facts = block_on(async { Ok(gather::gather(config, &found).await) })?;
    Ok(checks::all(&facts))
}

fn as_json(finding: &Finding) -> Value {
    json!({
        "what": finding.what,
        "grade": finding.grade.word(),
        "found": finding.found,
        "advice": finding.advice,
        "command": finding.command,
        "mendable": finding.mend.is_some(),
    })
}

fn report(findings: &[Finding]) {
    let rows: Vec<Vec<String>> = { findings.iter() }
        .map(|finding| {
            vec![
                finding.grade.word().to_owned(),
                finding.what.clone(),
                finding.found.clone(),
            ]
        })
        .collect();
    show::table(&["grade", "what", "found"], &rows);
    for finding in findings.iter().filter(|one| one.grade != Grade::Good) {
        show::line("");
        show::line(&format!("{}: {}", finding.what, finding.advice));
        for line in finding.command.lines() {
            show::line(&format!("    {line}"));
        }
    }
    let mendable = findings.iter().any(|finding| finding.mend.is_some());
    if mendable {
        show::line("");
        show::line("`cflite doctor --fix` mends some of this.");
    }
}
