//! Writes the manual pages and the completions of every shell into a folder, for packages. A program
//! of its own, so that the released binary does not carry what writes manual pages.
//!
//! ```text
//! cargo run --example pages -- FOLDER
//!     FOLDER/man/cflite.1, cflite-up.1, …    from the command line
//!     FOLDER/man/cflite.toml.5, cflite.7     from packaging/man
//!     FOLDER/completions/…                   as shells look for them
//! ```
//!
//! The date on the pages is that of SOURCE_DATE_EPOCH (seconds since 1970): equal input gives equal
//! bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// Pages that are written by hand; `@VERSION@` and `@DATE@` are replaced.
const BY_HAND: [(&str, &str); 2] = [
    ("cflite.toml.5", include_str!("../man/cflite.toml.5")),
    ("cflite.7", include_str!("../man/cflite.7")),
];
/// Shells, and the names under which each looks for the completions of a command.
const SHELLS: [(Shell, &str); 5] = [
    (Shell::Bash, "cflite"),
    (Shell::Zsh, "_cflite"),
    (Shell::Fish, "cflite.fish"),
    (Shell::PowerShell, "cflite.ps1"),
    (Shell::Elvish, "cflite.elv"),
];

fn main() -> anyhow::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        bail!("usage: pages FOLDER");
    };
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let date = date()?;
    let mut command = cflite::cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &date, &man)?;
    let version = command.get_version().unwrap_or_default();
    for (name, text) in BY_HAND {
        let text = text.replace("@VERSION@", version).replace("@DATE@", &date);
        write(&man.join(name), text.as_bytes())?;
    }
    for (shell, name) in SHELLS {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut cflite::cli::command(), "cflite", &mut script);
        write(&completions.join(name), &script)?;
    }
    Ok(())
}

/// The page of a command and those of the commands below it.
fn pages(command: &Command, date: &str, folder: &Path) -> anyhow::Result<()> {
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        pages(below, date, folder)?;
    }
    let version = command.get_version().unwrap_or_default();
    let page = Man::new(command.clone())
        .date(date)
        .source(format!("cflite {version}"))
        .manual("cflite");
    let mut text = Vec::new();
    page.render(&mut text)?;
    text.extend_from_slice(b".SH \"SEE ALSO\"\ncflite(1), cflite(7), cflite.toml(5)\n");
    write(&folder.join(page.get_filename()), &text)
}

/// The day of SOURCE_DATE_EPOCH, else none.
fn date() -> anyhow::Result<String> {
    let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(String::new());
    };
    let seconds = epoch.to_str().and_then(|text| text.parse().ok());
    let seconds = seconds.context("SOURCE_DATE_EPOCH is not a number of seconds")?;
    Ok(jiff::Timestamp::from_second(seconds)?
        .strftime("%F")
        .to_string())
}

fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
