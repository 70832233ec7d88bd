//! `cflite deploy`: makes the services of a space what a file says.
//!
//! It works through the public API, as anybody could: services are instances of the marketplace, and
//! an annotation of each has the names of what the file wanted last, with digests of the values, so that
//! a parameter that left the file is taken back.

pub(super) mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value, json};

use super::client::{Client, encode, included};
use super::{Session, block_on, credentials, process, push, show};
use plan::{Change, Found, State, Wanted, digest};

/// The names of what the file wanted last, and digests of the values.
const ANNOTATION: &str = "cflite.dev/deployed";
/// How long one service may take; a first one waits for its image.
const PATIENCE: Duration = Duration::from_secs(1800);
const POLL: Duration = Duration::from_millis(300);

/// Which file, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file lists services; every key besides name, offering and plan is a parameter:

  services:
  - name: db
    offering: postgresql
    memory: 512m
  - name: cache
    image: redis:7
    volume: /data
    depends_on: [db]

It shows what differs, asks, and changes only that, in the order of depends_on.")]
pub(super) struct Arguments {
    /// File with the services
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Organization, which is made where it is missing
    #[arg(long, default_value = "demo")]
    org: String,
    /// Space, which is made where it is missing
    #[arg(long, default_value = "dev")]
    space: String,
    /// Delete the services of an earlier file that this one does not have
    #[arg(long)]
    prune: bool,
    /// Only show what differs
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&arguments.file);
    let text = text.with_context(|| format!("cannot read {}", arguments.file.display()))?;
    let wanted = plan::read(&text).with_context(|| format!("{}", arguments.file.display()))?;
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    block_on(async {
        let client = Client::sign_in(&running, &password).await?;
        let space = push::ensure_space(&client, &arguments.org, &arguments.space).await?;
        let found = find(&client, &space).await?;
        let changes = plan::plan(&wanted, &found, arguments.prune)?;
        if session.json {
            show::json(&as_json(&changes));
        } else {
            show_changes(&changes, &wanted, &found);
        }
        let is_done = changes.iter().all(|(_, change)| *change == Change::Nothing);
        if is_done || arguments.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        if !arguments.yes && !show::confirm("Change the services?") {
            return Ok(ExitCode::FAILURE);
        }
        for (name, change) in &changes {
            let wanted = wanted.iter().find(|one| one.name == *name);
            apply(&client, &space, (name, change), wanted).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The managed services of a space.
pub(super) async fn find(client: &Client, space: &str) -> anyhow::Result<BTreeMap<String, Found>> {
    let fields = "fields[service_plan]=guid,name,relationships.service_offering\
                  &fields[service_plan.service_offering]=guid,name";
    let path =
        format!("/v3/service_instances?space_guids={space}&type=managed&{fields}&per_page=5000");
    let list = client.get(&path).await?;
    let mut found = BTreeMap::new();
    for instance in list["resources"].as_array().into_iter().flatten() {
        let guid = push::guid(instance)?;
        let plan = &instance["relationships"]["service_plan"]["data"]["guid"];
        let plan = included(&list, "service_plans", plan).context("a service without its plan")?;
        let offering = &plan["relationships"]["service_offering"]["data"]["guid"];
        let offering = included(&list, "service_offerings", offering);
        let offering = offering.context("a plan without its offering")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let applied = instance["metadata"]["annotations"][ANNOTATION].as_str();
        let applied = applied.and_then(|text| serde_json::from_str(text).ok());
        let parameters = client
            .get(&format!("/v3/service_instances/{guid}/parameters"))
            .await;
        let parameters = parameters.ok().and_then(|told| told.as_object().cloned());
        let operation = &instance["last_operation"];
        let state = match (operation["type"].as_str(), operation["state"].as_str()) {
            (Some("create"), Some("failed")) => State::NotMade,
            (_, Some("in progress" | "initial")) => State::Busy,
            _ => State::Succeeded,
        };
        found.insert(
            text(&instance["name"]),
            Found {
                guid,
                offering: text(&offering["name"]),
                plan: text(&plan["name"]),
                applied,
                parameters,
                state,
            },
        );
    }
    Ok(found)
}

fn as_json(changes: &[(String, Change)]) -> Value {
    let all = changes.iter().map(|(name, change)| match change {
        Change::Create => json!({ "name": name, "change": "create" }),
        Change::Update {
            parameters, plan, ..
        } => json!({ "name": name, "change": "update", "parameters": parameters, "plan": plan }),
        Change::Nothing => json!({ "name": name, "change": "none" }),
        Change::Delete { .. } => json!({ "name": name, "change": "delete" }),
    });
    all.collect()
}

fn show_changes(changes: &[(String, Change)], wanted: &[Wanted], found: &BTreeMap<String, Found>) {
    let mut rows = Vec::new();
    for (name, change) in changes {
        let is = |text: String, mark: &str| vec![mark.to_owned(), name.clone(), text];
        match change {
            Change::Create => {
                let of = wanted.iter().find(|one| one.name == *name);
                let text =
                    of.map_or_else(String::new, |one| format!("{} {}", one.offering, one.plan));
                rows.push(is(text, "+"));
            }
            Change::Update {
                parameters, plan, ..
            } => {
                let before = found.get(name);
                if let Some((plan, before)) = plan.as_ref().zip(before) {
                    rows.push(is(format!("plan: {} -> {plan}", before.plan), "~"));
                }
                for (key, value) in parameters {
                    let old = before.and_then(|before| before.parameters.as_ref()?.get(key));
                    let old = old.map_or_else(|| "-".to_owned(), Value::to_string);
                    let new = if value.is_null() {
                        "-".to_owned()
                    } else {
                        value.to_string()
                    };
                    rows.push(is(format!("{key}: {old} -> {new}"), "~"));
                }
            }
            Change::Nothing => rows.push(is("unchanged".to_owned(), "=")),
            Change::Delete { .. } => rows.push(is("delete".to_owned(), "-")),
        }
    }
    show::table(&["", "service", "change"], &rows);
}

async fn apply(
    client: &Client,
    space: &str,
    (name, change): (&str, &Change),
    wanted: Option<&Wanted>,
) -> anyhow::Result<()> {
    if *change == Change::Nothing {
        return Ok(());
    }
    let step = show::Step::begin(name);
    let asked = match (change, wanted) {
        (Change::Delete { guid }, _) => delete(client, (space, name, guid), &step).await,
        (_, Some(wanted)) => carry_out(client, space, (wanted, change), &step).await,
        (_, None) => Err(anyhow!("the service {name} is not in the file")),
    };
    match asked {
        Ok(()) => {
            step.done("");
            Ok(())
        }
        Err(error) => {
            step.failed(&format!("{error:#}"));
            Err(error).with_context(|| format!("the service {name} is not as the file wants it"))
        }
    }
}

/// Makes one service what a file says.
pub(super) async fn bring(
    client: &Client,
    space: &str,
    wanted: &Wanted,
    step: &show::Step,
) -> anyhow::Result<()> {
    let found = find(client, space).await?;
    let changes = plan::plan(std::slice::from_ref(wanted), &found, false)?;
    for (_, change) in &changes {
        carry_out(client, space, (wanted, change), step).await?;
    }
    Ok(())
}

async fn delete(
    client: &Client,
    (space, name, guid): (&str, &str, &str),
    step: &show::Step,
) -> anyhow::Result<()> {
    let path = format!("/v3/service_instances/{guid}");
    client.delete(&path).await?;
    ended(client, (space, name), step).await
}

async fn carry_out(
    client: &Client,
    space: &str,
    (wanted, change): (&Wanted, &Change),
    step: &show::Step,
) -> anyhow::Result<()> {
    let name = wanted.name.as_str();
    match change {
        Change::Nothing | Change::Delete { .. } => Ok(()),
        Change::Create => {
            let plan = plan_guid(client, &wanted.offering, &wanted.plan).await?;
            let body = json!({
                "type": "managed", "name": name, "parameters": wanted.parameters,
                "metadata": metadata(wanted),
                "relationships": {
                    "space": { "data": { "guid": space } },
                    "service_plan": { "data": { "guid": plan } },
                },
            });
            client.post("/v3/service_instances", &body).await?;
            ended(client, (space, name), step).await
        }
        Change::Update {
            guid,
            parameters,
            plan,
        } => {
            let path = format!("/v3/service_instances/{guid}");
            let mut body = json!({ "parameters": parameters });
            if let Some(plan) = plan {
                let plan = plan_guid(client, &wanted.offering, plan).await?;
                body["relationships"] = json!({ "service_plan": { "data": { "guid": plan } } });
            }
            client.patch(&path, &body).await?;
            ended(client, (space, name), step).await?;
            let body = json!({ "metadata": metadata(wanted) });
            client.patch(&path, &body).await?;
            Ok(())
        }
    }
}

fn metadata(wanted: &Wanted) -> Value {
    let applied: BTreeMap<&String, String> = { wanted.parameters.iter() }
        .map(|(key, value)| (key, digest(value)))
        .collect();
    let applied = json!(applied).to_string();
    json!({ "annotations": Map::from_iter([(ANNOTATION.to_owned(), applied.into())]) })
}

pub(super) async fn plan_guid(
    client: &Client,
    offering: &str,
    plan: &str,
) -> anyhow::Result<String> {
    let path = format!(
        "/v3/service_plans?service_offering_names={}&names={}",
        encode(offering),
        encode(plan)
    );
    let found = client.first(&path).await?;
    push::guid(
        &found.with_context(|| {
            format!("the marketplace has no plan {plan} of an offering {offering}")
        })?,
    )
}

/// Waits for the end of the operation of a service, and shows what it does.
async fn ended(
    client: &Client,
    (space, name): (&str, &str),
    step: &show::Step,
) -> anyhow::Result<()> {
    let path = format!(
        "/v3/service_instances?space_guids={space}&names={}",
        encode(name)
    );
    let mut said = String::new();
    let wait = async {
        loop {
            // One that was deleted is gone.
            let Some(instance) = client.first(&path).await? else {
                return Ok(());
            };
            let operation = &instance["last_operation"];
            let text = operation["description"].as_str().unwrap_or_default();
            match operation["state"].as_str() {
                Some("succeeded") => return Ok(()),
                Some("failed") => bail!("{text}"),
                _ if !text.is_empty() && text != said => {
                    step.progress(text);
                    text.clone_into(&mut said);
                }
                _ => {}
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(ended) => ended,
        Err(_) => bail!("it takes longer than {} minutes", PATIENCE.as_secs() / 60),
    }
}
