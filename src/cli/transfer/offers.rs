//! What another platform has, as far as an app needs it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use serde_json::Value;

use super::super::client::{Client, encode};
use super::super::push;
use super::parcel::Parcel;
use super::place::{Session, Space};
use super::routes::{Domains, is_below, split};

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) flags: BTreeMap<String, bool>,
    pub(super) stacks: Vec<String>,
    pub(super) buildpacks: Vec<String>,
    /// Offerings and their plans.
    pub(super) plans: BTreeSet<(String, String)>,
    /// The services of the space, if there is one.
    pub(super) services: Option<BTreeSet<String>>,
    pub(super) domains: Domains,
    /// Routes that an app of another space has.
    pub(super) taken: Vec<String>,
    pub(super) room: Option<Room>,
}

/// What the quota of the organization leaves, in megabytes; `None` = unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) memory: Option<i64>,
    pub(super) per_process: Option<i64>,
}

/// Asks the platforms: `here` is where the app is.
pub(super) async fn find(
    here: &Client,
    there: &Session,
    parcel: &Parcel,
    domain: Option<&str>,
) -> anyhow::Result<Offers> {
    let client = &there.client;
    let organization = there.organization().await?;
    let space = match (&organization, &there.space) {
        (Some(_), Some(_)) => Some(there.space().await?),
        _ => None,
    };
    let mut offers = Offers {
        flags: flags(client).await?,
        stacks: names(client, "/v3/stacks").await?,
        buildpacks: names(client, "/v3/buildpacks").await?,
        plans: plans(client, parcel, space.as_ref()).await?,
        domains: Domains {
            here: names(here, "/v3/domains").await?,
            chosen: domain.map(str::to_owned),
            ..Domains::default()
        },
        ..Offers::default()
    };
    match &organization {
        None => offers.domains.there = names(client, "/v3/domains").await?,
        Some(organization) => {
            let guid = push::guid(organization)?;
            let path = format!("/v3/organizations/{guid}/domains");
            offers.domains.there = names(client, &path).await?;
            let usual = client.find(&format!("{path}/default")).await?;
            offers.domains.usual =
                usual.and_then(|usual| usual["name"].as_str().map(str::to_owned));
            offers.room = room(client, organization).await?;
        }
    }
    if offers.domains.usual.is_none() {
        let internal = |name: &&String| name.ends_with("apps.internal");
        offers.domains.usual = offers
            .domains
            .there
            .iter()
            .find(|name| !internal(name))
            .cloned();
    }
    if let Some(chosen) = domain
        && !offers.domains.there.iter().any(|name| name == chosen)
    {
        bail!(
            "{} has no domain {chosen}; it has {}",
            there.api,
            offers.domains.there.join(", ")
        );
    }
    if let Some(space) = &space {
        let path = format!("/v3/service_instances?space_guids={}", space.guid);
        let all = names(client, &path).await?;
        offers.services = Some(all.into_iter().collect());
        let domains = format!("/v3/organizations/{}/domains", space.org);
        let routes = parcel.routes().into_iter();
        let routes = routes.filter_map(|route| offers.domains.mapped(route));
        offers.taken = taken(client, (&domains, Some(&space.guid)), routes).await?;
    }
    Ok(offers)
}

async fn names(client: &Client, path: &str) -> anyhow::Result<Vec<String>> {
    let all = client.all(path).await?;
    let names = all.iter().filter_map(|one| one["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

async fn flags(client: &Client) -> anyhow::Result<BTreeMap<String, bool>> {
    let all = client.all("/v3/feature_flags").await?;
    let flags = all.iter().filter_map(|flag| {
        let name = flag["name"].as_str()?;
        Some((name.to_owned(), flag["enabled"].as_bool()?))
    });
    Ok(flags.collect())
}

/// The plans of the offerings that the app uses.
async fn plans(
    client: &Client,
    parcel: &Parcel,
    space: Option<&Space>,
) -> anyhow::Result<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    for (offering, plan) in parcel.services.iter().filter_map(|one| one.of.as_ref()) {
        if has_plan(
            client,
            (offering, plan),
            space.map(|space| space.guid.as_str()),
        )
        .await?
        {
            found.insert((offering.clone(), plan.clone()));
        }
    }
    Ok(found)
}

/// Whether a plan is offered, to a space if one is given.
pub(super) async fn has_plan(
    client: &Client,
    (offering, plan): (&str, &str),
    space: Option<&str>,
) -> anyhow::Result<bool> {
    let mut path = format!(
        "/v3/service_plans?available=true&names={}&service_offering_names={}",
        encode(plan),
        encode(offering)
    );
    if let Some(space) = space {
        path.extend(["&space_guids=", space]);
    }
    Ok(client.first(&path).await?.is_some())
}

/// What is left of the organization's quota.
async fn room(client: &Client, organization: &Value) -> anyhow::Result<Option<Room>> {
    let quota = &organization["relationships"]["quota"]["data"]["guid"];
    let Some(quota) = quota.as_str() else {
        return Ok(None);
    };
    let Some(quota) = client
        .find(&format!("/v3/organization_quotas/{quota}"))
        .await?
    else {
        return Ok(None);
    };
    let guid = push::guid(organization)?;
    let path = format!("/v3/organizations/{guid}/usage_summary");
    let usage = client.find(&path).await?.unwrap_or_default();
    let used = usage["usage_summary"]["memory_in_mb"].as_i64().unwrap_or(0);
    let total = quota["apps"]["total_memory_in_mb"].as_i64();
    Ok(Some(Room {
        memory: total.map(|total| (total - used).max(0)),
        per_process: quota["apps"]["per_process_memory_in_mb"].as_i64(),
    }))
}

/// Those of these routes that exist in another space than this one. `domains` is the list of the domains
/// that may be used.
pub(super) async fn taken(
    client: &Client,
    (domains, space): (&str, Option<&str>),
    routes: impl Iterator<Item = String>,
) -> anyhow::Result<Vec<String>> {
    let domains = client.all(domains).await?;
    let mut taken = Vec::new();
    for route in routes {
        let (name, path) = split(&route);
        let length = |domain: &&Value| domain["name"].as_str().map_or(0, str::len);
        let below = |domain: &&Value| is_below(name, domain["name"].as_str().unwrap_or_default());
        let Some(domain) = domains.iter().filter(below).max_by_key(length) else {
            continue;
        };
        if path.starts_with(':') {
            continue;
        }
        let host = name[..name.len() - length(&domain)].trim_end_matches('.');
        let guid = push::guid(domain)?;
        let query = format!("host={}&path={}", encode(host), encode(path));
        let reserved = format!("/v3/domains/{guid}/route_reservations?{query}");
        if client.get(&reserved).await?["matching_route"] != true {
            continue;
        }
        let is_own = match space {
            Some(space) => {
                let own = format!(
                    "/v3/routes?space_guids={space}&domain_guids={guid}&hosts={}&paths={}",
                    encode(host),
                    encode(path)
                );
                client.first(&own).await?.is_some()
            }
            None => false,
        };
        if !is_own {
            taken.push(route);
        }
    }
    Ok(taken)
}
