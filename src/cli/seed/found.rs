//! Reads what the platform has of what a file names.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::{Map, Value};

use super::super::client::{Client, encode};
use super::super::{deploy, push};
use super::file::{File, Org, Role, Space};
use super::plan::{Found, FoundOrg, FoundProvided, FoundSpace, key};
use super::{apps, quota::Quota};

/// Guids of users and their names in lower case.
type Names = BTreeMap<String, String>;

/// Everything that the file names.
pub(super) async fn find(client: &Client, file: &File) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for flag in client.all("/v3/feature_flags").await? {
        if let (Some(name), Some(on)) = (flag["name"].as_str(), flag["enabled"].as_bool()) {
            found.flags.insert(name.to_owned(), on);
        }
    }
    let quotas = file.quotas.iter().map(|quota| &quota.name);
    for name in quotas.chain(file.orgs.iter().filter_map(|org| org.quota.as_ref())) {
        let path = format!("/v3/organization_quotas?names={}", encode(name));
        if let Some(quota) = client.first(&path).await? {
            found.quotas.insert(key(name), quota);
        }
    }
    let names = users(client, file).await?;
    found.users = names.values().cloned().collect();
    for org in &file.orgs {
        let path = format!("/v3/organizations?names={}", encode(&org.name));
        if let Some(existing) = client.first(&path).await? {
            let is = of_org(client, org, &existing, &names).await?;
            found.orgs.insert(key(&org.name), is);
        }
    }
    Ok(found)
}

/// The users of the file that exist.
async fn users(client: &Client, file: &File) -> anyhow::Result<Names> {
    let of_spaces = |org: &Org| -> Vec<Role> {
        let roles = org.spaces.iter().flat_map(|space| space.roles.clone());
        roles.collect()
    };
    let mut wanted: BTreeSet<String> = file.users.iter().map(|user| key(&user.name)).collect();
    for org in &file.orgs {
        let roles = org.roles.iter().cloned().chain(of_spaces(org));
        wanted.extend(roles.map(|role| key(&role.user)));
    }
    let mut names = Names::new();
    for name in wanted {
        let path = format!("/v3/users?usernames={}", encode(&name));
        if let Some(user) = client.first(&path).await? {
            names.insert(push::guid(&user)?, name);
        }
    }
    Ok(names)
}

async fn of_org(
    client: &Client,
    wanted: &Org,
    existing: &Value,
    names: &Names,
) -> anyhow::Result<FoundOrg> {
    let guid = push::guid(existing)?;
    let mut found = FoundOrg {
        quota: quota_of(client, "organization_quotas", existing).await?,
        roles: roles(client, &format!("organization_guids={guid}"), names).await?,
        ..FoundOrg::default()
    };
    let quotas = wanted.space_quotas.iter().map(|quota: &Quota| &quota.name);
    let used = { wanted.spaces.iter() }.filter_map(|space| space.quota.as_ref());
    for name in quotas.chain(used) {
        let path = format!(
            "/v3/space_quotas?organization_guids={guid}&names={}",
            encode(name)
        );
        if let Some(quota) = client.first(&path).await? {
            found.space_quotas.insert(key(name), quota);
        }
    }
    for space in &wanted.spaces {
        let path = format!(
            "/v3/spaces?organization_guids={guid}&names={}",
            encode(&space.name)
        );
        if let Some(existing) = client.first(&path).await? {
            let is = of_space(client, space, &existing, names).await?;
            found.spaces.insert(key(&space.name), is);
        }
    }
    Ok(found)
}

async fn of_space(
    client: &Client,
    wanted: &Space,
    existing: &Value,
    names: &Names,
) -> anyhow::Result<FoundSpace> {
    let guid = push::guid(existing)?;
    let mut found = FoundSpace {
        quota: quota_of(client, "space_quotas", existing).await?,
        roles: roles(client, &format!("space_guids={guid}"), names).await?,
        managed: deploy::find(client, &guid).await?,
        provided: provided(client, &guid).await?,
        ..FoundSpace::default()
    };
    for app in &wanted.apps {
        let path = format!("/v3/apps?space_guids={guid}&names={}", encode(&app.name));
        if let Some(existing) = client.first(&path).await? {
            let is = apps::compare(client, &guid, app, &existing).await;
            let is = is.with_context(|| format!("app {}", app.name))?;
            found.apps.insert(app.name.clone(), is);
        }
    }
    Ok(found)
}

/// The name of the quota of an organization or space.
async fn quota_of(client: &Client, kind: &str, existing: &Value) -> anyhow::Result<Option<String>> {
    let Some(guid) = existing["relationships"]["quota"]["data"]["guid"].as_str() else {
        return Ok(None);
    };
    let quota = client.get(&format!("/v3/{kind}/{guid}")).await?;
    Ok(quota["name"].as_str().map(str::to_owned))
}

async fn roles(
    client: &Client,
    filter: &str,
    names: &Names,
) -> anyhow::Result<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    for role in client.all(&format!("/v3/roles?{filter}")).await? {
        let user = role["relationships"]["user"]["data"]["guid"].as_str();
        let user = user.and_then(|guid| names.get(guid));
        if let (Some(kind), Some(user)) = (role["type"].as_str(), user) {
            found.insert((kind.to_owned(), user.clone()));
        }
    }
    Ok(found)
}

/// The user-provided services of a space with their credentials.
async fn provided(client: &Client, space: &str) -> anyhow::Result<BTreeMap<String, FoundProvided>> {
    let path = format!("/v3/service_instances?space_guids={space}&type=user-provided");
    let mut found = BTreeMap::new();
    for instance in client.all(&path).await? {
        let guid = push::guid(&instance)?;
        let path = format!("/v3/service_instances/{guid}/credentials");
        let credentials = client.get(&path).await?.as_object().cloned();
        let settings = ["tags", "syslog_drain_url", "route_service_url"];
        let settings = settings.map(|name| (name.to_owned(), instance[name].clone()));
        let name = instance["name"].as_str().unwrap_or_default();
        let one = FoundProvided {
            credentials: credentials.unwrap_or_default(),
            settings: Map::from_iter(settings),
        };
        found.insert(name.to_owned(), one);
    }
    Ok(found)
}
