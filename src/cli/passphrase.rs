//! Passphrases: from a file, the environment or the terminal; never from the command line, which others
//! see.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::base::Secret;

const VARIABLE: &str = "CFLITE_BACKUP_PASSPHRASE";
const SHORTEST: usize = 8;

/// Where the passphrase is.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// File with the passphrase [default: $CFLITE_BACKUP_PASSPHRASE, else it is asked for]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Arguments {
    /// Whether one is given, so that a backup is encrypted without being asked.
    pub(super) fn is_given(&self) -> bool {
        self.passphrase_file.is_some()
    }

    /// A new one: it is asked for twice.
    pub(super) fn choose(&self) -> anyhow::Result<Secret<String>> {
        let chosen = match self.given()? {
            Some(given) => given,
            None => {
                let first = ask("Passphrase for the backup: ")?;
                if ask("The same again: ")?.expose() != first.expose() {
                    bail!("the two passphrases differ");
                }
                first
            }
        };
        if chosen.expose().chars().count() < SHORTEST {
            bail!("the passphrase is too short: it has at least {SHORTEST} characters");
        }
        Ok(chosen)
    }

    /// The one of a backup.
    pub(super) fn get(&self) -> anyhow::Result<Secret<String>> {
        match self.given()? {
            Some(given) => Ok(given),
            None => ask("Passphrase of the backup: "),
        }
    }

    fn given(&self) -> anyhow::Result<Option<Secret<String>>> {
        match &self.passphrase_file {
            Some(file) => Ok(Some(first_line(file)?)),
            None => Ok(std::env::var(VARIABLE).ok().map(Secret::new)),
        }
    }
}

fn first_line(file: &Path) -> anyhow::Result<Secret<String>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the passphrase file {}", file.display()))?;
    Ok(Secret::new(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}

fn ask(question: &str) -> anyhow::Result<Secret<String>> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no passphrase: set {VARIABLE}, or use --passphrase-file");
    }
    let answer = rpassword::prompt_password(question).context("cannot read the passphrase")?;
    Ok(Secret::new(answer))
}
