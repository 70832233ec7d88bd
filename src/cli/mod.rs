//! The command line: one file per command. Commands print text, or JSON with `--json`; destructive
//! ones ask for confirmation unless `--yes` is given.

mod accounts;
mod alerts;
mod allocator;
mod app_folder;
mod backup;
mod bundle;
mod catalog;
mod client;
mod completion;
mod connect;
mod credentials;
mod demo;
mod deploy;
mod dev;
mod dns;
mod doctor;
mod down;
mod exec;
mod explain;
mod fields;
mod images;
mod logs;
mod packages;
mod passphrase;
mod pause;
mod process;
mod profiles;
mod push;
mod registry;
mod registry_client;
mod reset;
mod restore;
mod rewind;
mod root;
mod seed;
mod services;
mod show;
mod snapshot;
mod status;
mod support_bundle;
mod transfer;
mod trust;
mod up;
mod upgrade;
mod version;
mod workshop;

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
    /// Show or search the logs of apps and services, or show the platform's own log
    #[command(long_about = logs::LONG)]
    Logs(logs::Arguments),
    /// Say why an app does not run, and what to change
    Explain(explain::Arguments),
    /// Check this machine and advise how to fix problems
    Doctor(doctor::Arguments),
    /// Write a file for somebody who helps with this platform, without secrets
    SupportBundle(support_bundle::Arguments),
    /// Show API URL, user and password
    Credentials,
    /// Build or list the stack images
    #[command(subcommand)]
    Images(images::Arguments),
    /// List, collect or fetch the images of the image registry
    #[command(subcommand)]
    Registry(registry::Arguments),
    /// List, collect or fetch the packages of the package cache
    #[command(subcommand)]
    Packages(packages::Arguments),
    /// Carry images to a machine without a network
    #[command(subcommand)]
    Bundle(bundle::Arguments),
    /// Show data services and their backups
    #[command(subcommand)]
    Services(services::Arguments),
    /// Show or check catalogs of data services
    #[command(subcommand)]
    Catalog(catalog::Arguments),
    /// Make the services of a space what a file says
    Deploy(deploy::Arguments),
    /// Make orgs, spaces, users, services and apps what a file says
    Seed(seed::Arguments),
    /// Make accounts with spaces of their own for a group of people
    #[command(subcommand)]
    Workshop(workshop::Arguments),
    /// Take an app to another Cloud Foundry, with the droplet that runs here
    Promote(transfer::Promote),
    /// Bring the apps of a space of another Cloud Foundry here
    Import(transfer::Import),
    /// Say what would differ for an app on another Cloud Foundry
    Check(transfer::Check),
    /// Use a service with a client on this machine
    Connect(connect::Arguments),
    /// Let this machine find the names of the platform and its apps
    #[command(subcommand)]
    Dns(dns::Arguments),
    /// Let this machine and its browsers trust the certificates of the platform
    #[command(subcommand)]
    Trust(trust::Arguments),
    /// Show what needs a person now
    #[command(subcommand)]
    Alerts(alerts::Arguments),
    /// Push a sample app through the public API
    Demo(demo::Arguments),
    /// Serve changes in an app's folder at once, without a push
    Dev(dev::Arguments),
    /// Stage a folder and run a command in it, without making an app
    Exec(exec::Arguments),
    /// Stop apps, data services and the platform, to have their memory back for a while
    Pause,
    /// Go on after `pause`: everything runs again as it was
    Resume,
    /// Keep the whole platform as it is now, or show what is kept
    Snapshot(snapshot::Arguments),
    /// Put the whole platform back as it was when a snapshot was made
    Rewind(rewind::Arguments),
    /// Show the platforms of this machine
    Profiles,
    /// Go on with this cflite where another version runs
    Upgrade(upgrade::Arguments),
    /// Write the whole platform into one file, or check such a file
    Backup(backup::Arguments),
    /// Make a platform of a backup, in a data dir that has none
    Restore(restore::Arguments),
    /// Remove every container, image, network and file of cflite
    Reset(reset::Arguments),
    /// Show the effective configuration
    Config,
    /// Print a completion script for a shell
    Completion(completion::Arguments),
    /// Show version, commit and compiler of this build
    Version,
}

/// Arguments that every command has.
struct Session {
    options: Options,
    json: bool,
}

/// The command line, for manual pages and completions.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
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
        Command::Logs(arguments) => logs::run(session, arguments),
        Command::Explain(arguments) => explain::run(session, &arguments),
        Command::Doctor(arguments) => doctor::run(session, &arguments),
        Command::SupportBundle(arguments) => support_bundle::run(session, &arguments),
        Command::Credentials => credentials::run(session),
        Command::Images(arguments) => images::run(session, &arguments),
        Command::Registry(arguments) => registry::run(session, &arguments),
        Command::Packages(arguments) => packages::run(session, &arguments),
        Command::Bundle(arguments) => bundle::run(session, &arguments),
        Command::Services(arguments) => services::run(session, &arguments),
        Command::Catalog(arguments) => catalog::run(session, &arguments),
        Command::Deploy(arguments) => deploy::run(session, &arguments),
        Command::Seed(arguments) => seed::run(session, &arguments),
        Command::Workshop(arguments) => workshop::run(session, &arguments),
        Command::Promote(arguments) => transfer::promote(session, &arguments),
        Command::Import(arguments) => transfer::import(session, &arguments),
        Command::Check(arguments) => transfer::check(session, &arguments),
        Command::Connect(arguments) => connect::run(session, &arguments),
        Command::Dns(arguments) => dns::run(session, &arguments),
        Command::Trust(arguments) => trust::run(&session, &arguments),
        Command::Alerts(arguments) => alerts::run(session, &arguments),
        Command::Demo(arguments) => demo::run(session, &arguments),
        Command::Dev(arguments) => dev::run(session, &arguments),
        Command::Exec(arguments) => exec::run(session, &arguments),
        Command::Profiles => profiles::run(&session),
        Command::Upgrade(arguments) => upgrade::run(session, &arguments),
        Command::Pause => pause::pause(session),
        Command::Resume => pause::resume(session),
        Command::Snapshot(arguments) => snapshot::run(session, &arguments),
        Command::Rewind(arguments) => rewind::run(session, &arguments),
        Command::Backup(arguments) => backup::run(session, &arguments),
        Command::Restore(arguments) => restore::run(session, &arguments),
        Command::Reset(arguments) => reset::run(session, &arguments),
        Command::Config => show::config(session),
        Command::Completion(arguments) => Ok(completion::run(&arguments)),
        Command::Version => Ok(version::run(session)),
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
