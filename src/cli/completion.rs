//! `cflite completion SHELL`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, show};

/// Which shell.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Shell to complete for
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "cflite", &mut script);
    show::print(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}
