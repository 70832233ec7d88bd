//! The command line: one file per command. Commands print text, or JSON with `--json`; destructive
//! ones ask for confirmation unless `--yes` is given.

mod allocator;
mod bundle;
mod client;
mod completion;
mod credentials;
mod demo;
mod doctor;
mod down;
mod images;
mod logs;
mod process;
mod registry;
mod registry_client;
mod reset;
mod show;
mod status;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Options;

/// A whole Cloud Foundry on the Docker daemon you already have
#[derive(Debug, Parser)]
#[command(
    name = "cflite",
    version,
    about,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the platform (in the background) and wait until it is ready
    Up(up::Arguments),
    /// Stop the platform; apps keep running
    Down(down::Arguments),
    /// Show whether the platform runs, its addresses and its health
    Status,
    /// Show the platform's own log
    Logs(logs::Arguments),
    /// Check this machine and advise how to fix problems
    Doctor,
    /// Show API URL, user and password
    Credentials,
    /// Build or list the stack images
    #[command(subcommand)]
    Images(images::Arguments),
    /// List, collect or fetch the images of the image registry
    #[command(subcommand)]
    Registry(registry::Arguments),
    /// Carry images to a machine without a network
    #[command(subcommand)]
    Bundle(bundle::Arguments),
    /// Push a sample app through the public API
    Demo(demo::Arguments),
    /// Remove every container, image, network and file of cflite
    Reset(reset::Arguments),
    /// Show the effective configuration
    Config,
    /// Print a completion script for a shell
    Completion(completion::Arguments),
}

/// Arguments that every command has.
struct Session {
    options: Options,
    json: bool,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            show::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let session = Session {
        options: cli.options,
        json: cli.json,
    };
    match cli.command {
        Command::Up(arguments) => up::run(session, &arguments),
        Command::Down(arguments) => down::run(session, &arguments),
        Command::Status => status::run(session),
        Command::Logs(arguments) => logs::run(session, &arguments),
        Command::Doctor => doctor::run(session),
        Command::Credentials => credentials::run(session),
        Command::Images(arguments) => images::run(session, &arguments),
        Command::Registry(arguments) => registry::run(session, &arguments),
        Command::Bundle(arguments) => bundle::run(session, &arguments),
        Command::Demo(arguments) => demo::run(session, &arguments),
        Command::Reset(arguments) => reset::run(session, &arguments),
        Command::Config => show::config(session),
        Command::Completion(arguments) => Ok(completion::run(&arguments)),
    }
}

/// Runs async work of a command on a single-threaded runtime.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn data_dir_and_json_work_after_the_command() {
        let cli =
            Cli::try_parse_from(["cflite", "status", "--json", "--data-dir", "/x"]).expect("valid");
        assert!(cli.json);
        assert_eq!(
            cli.options.data_dir.as_deref(),
            Some(std::path::Path::new("/x"))
        );
    }
}
