//! Which app is meant: by its name and, where that is not enough, by organization and space.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::Value;

use super::super::client::{Client, encode, included};
use super::super::push::guid;

/// An app.
#[derive(Debug)]
pub(super) struct App {
    pub(super) guid: String,
    pub(super) name: String,
    /// `organization / space`.
    pub(super) place: String,
}

/// A candidate.
struct Found {
    app: App,
    space_guid: String,
    organization: String,
    space: String,
}

/// Finds an app. Of several with this name, the one in the space that the cf CLI targets is meant.
pub(super) async fn find(
    client: &Client,
    name: &str,
    organization: Option<&str>,
    space: Option<&str>,
) -> anyhow::Result<App> {
    let encoded = encode(name);
    let list = format!("/v3/apps?names={encoded}&include=space.organization&per_page=100");
    let mut found = candidates(&client.get(&list).await?)?;
    found.retain(|one| {
        organization.is_none_or(|wanted| one.organization == wanted)
            && space.is_none_or(|wanted| one.space == wanted)
    });
    if found.len() > 1
        && let Some(target) = targeted_space()
        && let Some(at) = found.iter().position(|one| one.space_guid == target)
    {
        return Ok(found.swap_remove(at).app);
    }
    match found.len() {
        0 => bail!(
            "there is no app {name}{}; push it first",
            within(organization, space)
        ),
        1 => Ok(found.remove(0).app),
        _ => {
            let places: Vec<&str> = found.iter().map(|one| one.app.place.as_str()).collect();
            bail!(
                "several apps are called {name}, in {}: name one with --org and --space",
                places.join(", ")
            )
        }
    }
}

fn within(organization: Option<&str>, space: Option<&str>) -> String {
    let names: Vec<&str> = [organization, space].into_iter().flatten().collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" in {}", names.join(" / "))
    }
}

fn candidates(list: &Value) -> anyhow::Result<Vec<Found>> {
    let apps = list["resources"]
        .as_array()
        .context("the list has no resources")?;
    apps.iter()
        .map(|app| {
            let name_of = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
            let space_guid = &app["relationships"]["space"]["data"]["guid"];
            let space = included(list, "spaces", space_guid).context("an app without its space")?;
            let organization_guid = &space["relationships"]["organization"]["data"]["guid"];
            let organization = included(list, "organizations", organization_guid)
                .context("a space without its organization")?;
            let (organization, space) = (name_of(organization), name_of(space));
            Ok(Found {
                app: App {
                    guid: guid(app)?,
                    name: name_of(app),
                    place: format!("{organization} / {space}"),
                },
                space_guid: space_guid.as_str().unwrap_or_default().to_owned(),
                organization,
                space,
            })
        })
        .collect()
}

/// The guid of the space that the cf CLI targets. It may be a space of another platform: guids tell.
fn targeted_space() -> Option<String> {
    let home = std::env::var_os("CF_HOME").or_else(|| std::env::var_os("HOME"))?;
    let text = std::fs::read(PathBuf::from(home).join(".cf/config.json")).ok()?;
    let config: Value = serde_json::from_slice(&text).ok()?;
    let guid = config.pointer("/SpaceFields/GUID")?.as_str()?;
    Some(guid.to_owned()).filter(|guid| !guid.is_empty())
}
