//! `cflite completion SHELL`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// Which shell.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Shell to complete for
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "cflite",
        &mut std::io::stdout(),
    );
    ExitCode::SUCCESS
}
