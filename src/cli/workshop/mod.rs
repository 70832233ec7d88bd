//! `cflite workshop`: accounts with an org, a quota and a lesson's apps for a group of people, and a page
//! with their logins to print.

mod lesson;
mod make;
mod page;
mod share;
mod state;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::{Session, block_on, credentials, process, push, show};
use crate::config::Config;
use crate::platform::Running;
use make::{Staged, Whose};
use state::{Participant, Workshop};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Make the accounts, or complete what an interrupted run began
    Create(Create),
    /// List the participants and their apps
    List(List),
    /// Make a participant's org, apps and password as they were at first
    Reset(Reset),
    /// Remove everything the workshop made, and nothing else
    End(End),
}

/// What each participant gets.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each participant gets an account and an org with the space dev, is its manager and developer, and
nobody sees the org of another. The page has a card for each with the addresses, the login and a QR
code. Running it again completes it, and adds users when --users is larger.

cflite workshop create --users 30 --lesson samples/flask
cflite workshop create --users 30 --quota memory=2G,services=3,routes=10 --share

With --share the page has addresses for other machines of the network. The platform has to listen
there, under a domain that leads there: `cflite up --bind 0.0.0.0 --domain cf.example.lan`. The DNS
server of the network answers *.cf.example.lan with this machine's address. Without one, a name such
as 192.168.1.20.nip.io works where the internet's DNS does. HOSTNAME.local does not: mDNS knows no
names below it.")]
pub(super) struct Create {
    /// How many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    users: u16,
    /// How their names begin: student makes student-01, student-02, …
    #[arg(long, default_value = "student")]
    prefix: String,
    /// Limits of each org: memory, instance_memory, instances, tasks, log_rate, services, service_keys,
    /// paid_services, routes, ports, domains
    #[arg(
        long,
        value_name = "LIMITS",
        default_value = "memory=1G,instances=10,services=5,routes=20"
    )]
    quota: String,
    /// Folder of an app, or with a manifest.yml and a services.yml, that each space gets
    #[arg(long, value_name = "DIR")]
    lesson: Option<PathBuf>,
    /// Make the page for other machines of the network
    #[arg(long)]
    share: bool,
    /// Where the page is written [default: DATA_DIR/workshop.html]
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// What to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Show the passwords as well
    #[arg(long)]
    passwords: bool,
}

/// Whom to reset.
#[derive(Debug, clap::Args)]
pub(super) struct Reset {
    /// Name of a participant
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    user: Option<String>,
    /// Everybody
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// How to end.
#[derive(Debug, clap::Args)]
pub(super) struct End {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let at = Place {
        json: session.json,
        running,
        config,
    };
    match arguments {
        Arguments::Create(create) => block_on(at.create(create)),
        Arguments::List(list) => block_on(at.list(list)),
        Arguments::Reset(reset) => block_on(at.reset(reset)),
        Arguments::End(end) => block_on(at.end(end)),
    }
}

/// The platform of the workshop.
struct Place {
    config: Config,
    running: Running,
    json: bool,
}

impl Place {
    fn data_dir(&self) -> &Path {
        &self.config.data_dir
    }

    async fn client(&self) -> anyhow::Result<Client> {
        Client::sign_in(&self.running, &credentials::password(&self.config)?).await
    }

    async fn create(&self, arguments: &Create) -> anyhow::Result<ExitCode> {
        if arguments.share {
            share::check(&share::Facts::of(&self.running, &self.config))?;
        }
        let _lock = state::lock(self.data_dir())?;
        let mut workshop = self.wanted(arguments)?;
        make::quota(&workshop)?;
        if let (Some(folder), Some(one)) = (&workshop.lesson, workshop.participants.first()) {
            lesson::apps(folder, &one.name, &self.running.domain).context("--lesson")?;
        }
        let client = self.client().await?;
        make::check_names(&client, &workshop).await?;
        workshop.write(self.data_dir())?;
        make::begin(&client, &workshop).await?;
        let mut staged = Staged::default();
        for one in &workshop.participants {
            self.make(&client, &workshop, one, &mut staged).await?;
        }
        let addresses = share::addresses(&self.running, workshop.shared);
        page::write(&workshop, &addresses, &self.running.domain)?;
        workshop.complete = true;
        workshop.write(self.data_dir())?;
        if self.json {
            show::json(&json!({
                "users": workshop.participants.len(),
                "page": workshop.page,
                "console": addresses.console,
                "api": addresses.api,
            }));
        } else {
            show::line(&format!("Page       {}", workshop.page.display()));
            show::line(&format!("Console    {}", addresses.console));
            show::line(&format!("API        {}", addresses.api));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The workshop as it is to be: a new one, or the one that is there with more users.
    fn wanted(&self, arguments: &Create) -> anyhow::Result<Workshop> {
        check_prefix(&arguments.prefix)?;
        let page = arguments.page.clone();
        let absolute = |path: PathBuf| {
            let shown = path.display().to_string();
            std::path::absolute(path).context(shown)
        };
        let page = page.map_or_else(|| Ok(self.data_dir().join("workshop.html")), absolute)?;
        let existing = Workshop::read(self.data_dir())?;
        if let Some(existing) = existing
            .as_ref()
            .filter(|one| one.prefix != arguments.prefix)
        {
            bail!(
                "there is a workshop {} already: `cflite workshop end` removes it",
                existing.prefix
            );
        }
        let mut workshop =
            existing.unwrap_or_else(|| Workshop::new(&arguments.prefix, page.clone()));
        workshop.quota.clone_from(&arguments.quota);
        workshop.lesson = arguments.lesson.clone().map(absolute).transpose()?;
        workshop.shared = arguments.share;
        workshop.complete = false;
        // A page elsewhere would stay when the workshop ends.
        if workshop.page != page && workshop.page.exists() {
            std::fs::remove_file(&workshop.page)
                .with_context(|| workshop.page.display().to_string())?;
        }
        workshop.page = page;
        workshop.grow(arguments.users)?;
        Ok(workshop)
    }

    async fn make(
        &self,
        client: &Client,
        workshop: &Workshop,
        one: &Participant,
        staged: &mut Staged,
    ) -> anyhow::Result<()> {
        let step = show::Step::begin(&one.name);
        let place = (one, self.running.domain.as_str());
        match make::participant(client, workshop, place, staged, &step).await {
            Ok(()) => {
                step.done("");
                Ok(())
            }
            Err(error) => {
                step.failed(&format!("{error:#}"));
                bail!(
                    "{} is not complete; the same command goes on there",
                    one.name
                )
            }
        }
    }

    async fn list(&self, arguments: &List) -> anyhow::Result<ExitCode> {
        let workshop = Workshop::get(self.data_dir())?;
        let client = self.client().await?;
        let mut rows = Vec::new();
        let mut documents = Vec::new();
        for one in &workshop.participants {
            let apps = apps(&client, &workshop, &one.name).await?;
            let password = arguments.passwords.then(|| one.password.expose().clone());
            let shown = match &apps {
                None => "not complete: run `cflite workshop create` again".to_owned(),
                Some(apps) => apps.join(", "),
            };
            let mut row = vec![one.name.clone(), shown];
            row.extend(password.clone());
            rows.push(row);
            let mut document = json!({ "user": one.name, "org": one.name, "apps": apps });
            if let Some(password) = password {
                document["password"] = json!(password);
            }
            documents.push(document);
        }
        if self.json {
            show::json(&json!({
                "prefix": workshop.prefix,
                "complete": workshop.complete,
                "page": workshop.page,
                "users": documents,
            }));
        } else {
            let header = ["user and org", "apps", "password"];
            show::table(&header[..2 + usize::from(arguments.passwords)], &rows);
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn reset(&self, arguments: &Reset) -> anyhow::Result<ExitCode> {
        let _lock = state::lock(self.data_dir())?;
        let workshop = Workshop::get(self.data_dir())?;
        let is_meant = |one: &&Participant| match &arguments.user {
            Some(name) => one.name == *name,
            None => true,
        };
        let meant: Vec<&Participant> = workshop.participants.iter().filter(is_meant).collect();
        if meant.is_empty() {
            bail!("nobody of the workshop has this name: `cflite workshop list` shows them");
        }
        let question = format!(
            "Delete the apps, services and data of {} and begin again?",
            people(meant.len(), arguments.user.as_deref())
        );
        if !arguments.yes && !show::confirm(&question) {
            show::note("Nothing was changed.");
            return Ok(ExitCode::FAILURE);
        }
        let client = self.client().await?;
        make::begin(&client, &workshop).await?;
        let mut staged = Staged::default();
        for one in &meant {
            make::clear(&client, &workshop, one).await?;
            self.make(&client, &workshop, one, &mut staged).await?;
            make::renew(&client, &workshop, one).await?;
        }
        if self.json {
            let names: Vec<&String> = meant.iter().map(|one| &one.name).collect();
            show::json(&json!({ "reset": names }));
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn end(&self, arguments: &End) -> anyhow::Result<ExitCode> {
        let _lock = state::lock(self.data_dir())?;
        let workshop = Workshop::get(self.data_dir())?;
        let count = workshop.participants.len();
        let question = format!(
            "Delete the accounts, orgs, apps and data of {}?",
            people(count, None)
        );
        if !arguments.yes && !show::confirm(&question) {
            show::note("Nothing was removed.");
            return Ok(ExitCode::FAILURE);
        }
        let client = self.client().await?;
        for one in &workshop.participants {
            let step = show::Step::begin(&format!("remove {}", one.name));
            match make::remove(&client, &workshop, one).await {
                Ok(()) => step.done(""),
                Err(error) => {
                    step.failed(&format!("{error:#}"));
                    bail!(
                        "{} is still there; the same command goes on there",
                        one.name
                    );
                }
            }
        }
        make::finish(&client, &workshop).await?;
        match std::fs::remove_file(&workshop.page) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| workshop.page.display().to_string());
            }
            Ok(()) | Err(_) => {}
        }
        Workshop::remove(self.data_dir())?;
        if self.json {
            show::json(&json!({ "removed": count }));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn people(count: usize, name: Option<&str>) -> String {
    name.map_or_else(|| format!("all {count} participants"), str::to_owned)
}

/// Names of orgs and accounts begin with it, and host names end with them.
fn check_prefix(prefix: &str) -> anyhow::Result<()> {
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = prefix.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || prefix.len() > 30 || !prefix.chars().all(is_fine) {
        bail!(
            "--prefix {prefix}: it has to be 1 to 30 lower case letters, digits and hyphens, and to \
             begin with a letter"
        );
    }
    Ok(())
}

/// The apps of a participant with their states; `None` = the org is missing.
async fn apps(
    client: &Client,
    workshop: &Workshop,
    name: &str,
) -> anyhow::Result<Option<Vec<String>>> {
    let Whose::Own(org) = make::org(client, workshop, name).await? else {
        return Ok(None);
    };
    let apps = client
        .all(&format!("/v3/apps?organization_guids={org}"))
        .await?;
    let mut shown = Vec::new();
    for app in &apps {
        push::guid(app)?;
        let text = |key: &str| -> &str { app.get(key).and_then(Value::as_str).unwrap_or("") };
        shown.push(format!("{} {}", text("name"), text("state").to_lowercase()));
    }
    Ok(Some(shown))
}
