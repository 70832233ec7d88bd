//! `cflite import`: brings the apps of a space of another Cloud Foundry here.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::super::client::{Client, encode};
use super::super::{Session, block_on, credentials, deploy, process, push, show};
use super::carry::{Changes, carry, renamed};
use super::offers::{Offers, has_plan, taken};
use super::parcel::{self, Bits, Parcel, Service};
use super::place::There;
use super::routes::Domains;

/// Which space, and where from.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each app comes with the droplet that runs there, or its image, and with its manifest, its environment and
its routes under this platform's domain. User-provided services come with their credentials where you may
read them. Managed services are made anew, and empty, where the marketplace here has an offering and a
plan of the same names; apps are not bound to others, which are named. Routes that an app of another
space has are left out. Apps that exist here are updated.

cflite import --from https://api.example.com dev
CFLITE_TARGET_PASSWORD=… cflite import --from https://api.example.com --user ada acme/dev")]
pub(in crate::cli) struct Import {
    /// SPACE or ORGANIZATION/SPACE there
    #[arg(value_name = "SPACE")]
    from_space: String,
    /// The API of the other Cloud Foundry
    #[arg(long, value_name = "API")]
    from: String,
    #[command(flatten)]
    there: There,
    /// ORGANIZATION/SPACE here, made where it is missing [default: the same names]
    #[arg(long, value_name = "ORG/SPACE")]
    into: Option<String>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What becomes of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// One of this name is here.
    Here,
    /// It is made: with the credentials it has, or empty.
    Made,
    /// It cannot be made.
    Left(&'static str),
}

pub(in crate::cli) fn run(session: Session, arguments: &Import) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    block_on(async {
        let here = Client::sign_in(&running, &password).await?;
        let mut there = arguments.there.sign_in(&arguments.from).await?;
        match arguments.from_space.split_once('/') {
            Some((org, space)) => {
                there.org = Some(org.to_owned());
                there.space = Some(space.to_owned());
            }
            None => there.space = Some(arguments.from_space.clone()),
        }
        let space = there.space().await?;
        let org = there.org.clone().unwrap_or_default();
        let into = arguments.into.clone();
        let into = into.unwrap_or_else(|| format!("{org}/{}", space.name));
        let (org, name) = into
            .split_once('/')
            .context("--into is ORGANIZATION/SPACE")?;
        let plan = Plan::make(
            &here,
            &there.client,
            (&space.guid, &running.domain),
            (org, name),
        );
        let plan = plan.await?;
        if session.json {
            show::json(&plan.as_json());
        } else {
            plan.show();
        }
        if arguments.dry_run || plan.apps.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        if !arguments.yes && !show::confirm(&format!("Bring this to {into}?")) {
            show::note("Nothing was changed.");
            return Ok(ExitCode::FAILURE);
        }
        plan.carry_out(&here, &there.client, (org, name)).await
    })
}

/// What is brought.
struct Plan {
    apps: Vec<Parcel>,
    services: Vec<(Service, Fate)>,
    offers: Offers,
}

impl Plan {
    async fn make(
        here: &Client,
        there: &Client,
        (from, domain): (&str, &str),
        into: (&str, &str),
    ) -> anyhow::Result<Self> {
        let mut apps = Vec::new();
        for app in there.all(&format!("/v3/apps?space_guids={from}")).await? {
            let guid = push::guid(&app)?;
            apps.push(Parcel::read(there, &guid).await?);
        }
        let space = space_here(here, into).await?;
        let existing = existing(here, space.as_deref()).await?;
        let mut services = Vec::new();
        let path = format!("/v3/service_instances?space_guids={from}");
        for instance in there.all(&path).await? {
            let service = parcel::service(there, &instance).await?;
            let fate = fate(here, there, &service, &existing).await?;
            services.push((service, fate));
        }
        let names = |all: Vec<Value>| -> Vec<String> {
            let names = all.iter().filter_map(|one| one["name"].as_str());
            names.map(str::to_owned).collect()
        };
        let mut offers = Offers {
            buildpacks: names(here.all("/v3/buildpacks").await?),
            domains: Domains {
                there: names(here.all("/v3/domains").await?),
                here: names(there.all("/v3/domains").await?),
                usual: Some(domain.to_owned()),
                chosen: None,
            },
            ..Offers::default()
        };
        for app in &apps {
            let routes = app.routes().into_iter();
            let routes = routes.filter_map(|route| offers.domains.mapped(route));
            let place = ("/v3/domains", space.as_deref());
            let found = taken(here, place, routes.collect::<Vec<_>>().into_iter()).await?;
            offers.taken.extend(found);
        }
        Ok(Self {
            apps,
            services,
            offers,
        })
    }

    fn changes(&self, app: &Parcel) -> Changes {
        let routes = app.manifest.get("routes").and_then(Value::as_array);
        let routes = routes.into_iter().flatten().filter_map(|route| {
            let name = self.offers.domains.mapped(route["route"].as_str()?)?;
            let is_free = !self.offers.taken.contains(&name);
            is_free.then(|| renamed(route, &name))
        });
        let left = { self.services.iter() }
            .filter(|(_, fate)| matches!(fate, Fate::Left(_)))
            .map(|(service, _)| service.name.clone());
        // A service that is shared with the space is in none of its lists.
        let listed = |name: &String| self.services.iter().any(|(one, _)| one.name == *name);
        let foreign = { app.services.iter() }
            .map(|service| service.name.clone())
            .filter(|name| !listed(name));
        let unknown = { app.list("buildpacks").into_iter() }
            .filter(|name| !name.contains("://"))
            .filter(|name| !self.offers.buildpacks.iter().any(|one| one == name))
            .map(str::to_owned);
        Changes {
            routes: routes.collect(),
            without: left.chain(foreign).collect(),
            unknown: unknown.collect(),
        }
    }

    async fn carry_out(
        &self,
        here: &Client,
        there: &Client,
        (org, name): (&str, &str),
    ) -> anyhow::Result<ExitCode> {
        let space = push::ensure_space(here, org, name).await?;
        for (service, fate) in &self.services {
            if *fate == Fate::Made {
                let step = show::Step::begin(&format!("service {}", service.name));
                if let Err(error) = make(here, there, &space, service, &step).await {
                    step.failed(&format!("{error:#}"));
                    bail!("the same command goes on there");
                }
                step.done("");
            }
        }
        for app in &self.apps {
            let step = show::Step::begin(&format!("app {}", app.name));
            let changes = self.changes(app);
            if let Err(error) = carry(app, (there, here), &space, &changes, &step).await {
                step.failed(&format!("{error:#}"));
                bail!("the same command goes on there");
            }
            step.done("");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn rows(&self) -> Vec<[String; 3]> {
        let services = self.services.iter().map(|(service, fate)| {
            let kind = match &service.of {
                None => "user-provided".to_owned(),
                Some((offering, plan)) => format!("{offering} {plan}"),
            };
            let what = match (fate, &service.of) {
                (Fate::Here, _) => "a service of this name is here".to_owned(),
                (Fate::Made, None) => "made with its credentials".to_owned(),
                (Fate::Made, Some(_)) => "made anew, without its data".to_owned(),
                (Fate::Left(why), _) => format!("left out: {why}"),
            };
            [format!("service {}", service.name), kind, what]
        });
        let apps = self.apps.iter().map(|app| {
            let kind = match &app.bits {
                Bits::Droplet { .. } => "its droplet",
                Bits::Image(image) => image.as_str(),
                Bits::Nothing => "no droplet",
            };
            let changes = self.changes(app);
            let routes = changes
                .routes
                .iter()
                .filter_map(|route| route["route"].as_str());
            let mut what = routes.collect::<Vec<_>>().join(", ");
            if !changes.without.is_empty() {
                what.extend(["; not bound to ", &changes.without.join(", ")]);
            }
            let left = app.routes().len() - changes.routes.len();
            if left > 0 {
                what.extend([
                    "; ",
                    &left.to_string(),
                    " routes left out: others have them",
                ]);
            }
            [format!("app {}", app.name), kind.to_owned(), what]
        });
        services.chain(apps).collect()
    }

    fn show(&self) {
        let rows: Vec<Vec<String>> = self.rows().into_iter().map(Vec::from).collect();
        show::table(&["what", "of", "what is done"], &rows);
    }

    fn as_json(&self) -> Value {
        let rows = self.rows().into_iter();
        rows.map(|[what, of, done]| json!({ "what": what, "of": of, "done": done }))
            .collect()
    }
}

/// The space here, if it exists.
async fn space_here(here: &Client, (org, name): (&str, &str)) -> anyhow::Result<Option<String>> {
    let path = format!("/v3/organizations?names={}", encode(org));
    let Some(org) = here.first(&path).await? else {
        return Ok(None);
    };
    let path = format!(
        "/v3/spaces?names={}&organization_guids={}",
        encode(name),
        push::guid(&org)?
    );
    let space = here.first(&path).await?;
    space.map(|space| push::guid(&space)).transpose()
}

/// The names of the services in a space here.
async fn existing(here: &Client, space: Option<&str>) -> anyhow::Result<BTreeSet<String>> {
    let Some(space) = space else {
        return Ok(BTreeSet::new());
    };
    let path = format!("/v3/service_instances?space_guids={space}");
    let all = here.all(&path).await?;
    let names = all.iter().filter_map(|one| one["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

async fn fate(
    here: &Client,
    there: &Client,
    service: &Service,
    existing: &BTreeSet<String>,
) -> anyhow::Result<Fate> {
    if existing.contains(&service.name) {
        return Ok(Fate::Here);
    }
    Ok(match &service.of {
        Some((offering, plan)) if has_plan(here, (offering, plan), None).await? => Fate::Made,
        Some(_) => Fate::Left("the marketplace here has no such offering and plan"),
        None if credentials_of(there, service).await.is_ok() => Fate::Made,
        None => Fate::Left("you may not read its credentials"),
    })
}

async fn credentials_of(there: &Client, service: &Service) -> anyhow::Result<Value> {
    let path = format!("/v3/service_instances/{}/credentials", service.guid);
    there.get(&path).await
}

async fn make(
    here: &Client,
    there: &Client,
    space: &str,
    service: &Service,
    step: &show::Step,
) -> anyhow::Result<()> {
    let Some((offering, plan)) = &service.of else {
        let instance = there
            .get(&format!("/v3/service_instances/{}", service.guid))
            .await?;
        let mut body = json!({
            "type": "user-provided",
            "name": service.name,
            "credentials": credentials_of(there, service).await?,
            "tags": instance["tags"],
            "relationships": { "space": { "data": { "guid": space } } },
        });
        for key in ["syslog_drain_url", "route_service_url"] {
            if instance[key].is_string() {
                body[key] = instance[key].clone();
            }
        }
        here.post("/v3/service_instances", &body).await?;
        return Ok(());
    };
    let wanted = deploy::plan::Wanted {
        name: service.name.clone(),
        offering: offering.clone(),
        plan: plan.clone(),
        parameters: serde_json::Map::new(),
    };
    deploy::bring(here, space, &wanted, step).await
}
