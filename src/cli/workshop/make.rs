//! Makes, resets and removes what a workshop is made of. Everything is safe to do again.
//!
//! Each participant has an org of their own, not only a space: so they can make spaces and give roles
//! as on a real platform, one quota bounds all of it, and nobody sees what others do.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::super::client::{Client, encode};
use super::super::deploy;
use super::super::seed::quota::Quota;
use super::super::seed::{App, assign, is_seeded, org_quota, push_app};
use super::super::{accounts, push, show};
use super::lesson;
use super::state::{Participant, Workshop};

/// The label of the participants' orgs.
const LABEL: &str = "cflite.dev/workshop";
/// The space of each org.
pub(super) const SPACE: &str = "dev";

/// Droplets that were staged for one participant, for the others.
#[derive(Default)]
pub(super) struct Staged(Map<String, Value>);

/// The quota of all the orgs.
pub(super) fn quota(workshop: &Workshop) -> anyhow::Result<Quota> {
    let name = format!("{}-{}", workshop.quota_name(), workshop.id);
    Quota::parse(&name, &workshop.quota).context("--quota")
}

/// Refuses names that somebody else uses, before anything is made.
pub(super) async fn check_names(client: &Client, workshop: &Workshop) -> anyhow::Result<()> {
    for one in &workshop.participants {
        let name = &one.name;
        if account(client, workshop, name).await? == Whose::Others {
            bail!("there is a user {name} already: choose another --prefix");
        }
        if org(client, workshop, name).await? == Whose::Others {
            bail!("there is an org {name} already: choose another --prefix");
        }
    }
    Ok(())
}

/// Whether something is there, and whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Nobodys,
    /// The workshop's, with its guid.
    Own(String),
    Others,
}

async fn account(client: &Client, workshop: &Workshop, name: &str) -> anyhow::Result<Whose> {
    let Some(user) = accounts::find(client, name).await? else {
        return Ok(Whose::Nobodys);
    };
    if user["externalId"].as_str() == Some(&workshop.external_id()) {
        let guid = user["id"].as_str().context("a user without its id")?;
        return Ok(Whose::Own(guid.to_owned()));
    }
    Ok(Whose::Others)
}

/// The org of a participant.
pub(super) async fn org(client: &Client, workshop: &Workshop, name: &str) -> anyhow::Result<Whose> {
    let path = format!("/v3/organizations?names={}", encode(name));
    let Some(org) = client.first(&path).await? else {
        return Ok(Whose::Nobodys);
    };
    if org["metadata"]["labels"][LABEL].as_str() == Some(&workshop.id) {
        return Ok(Whose::Own(push::guid(&org)?));
    }
    Ok(Whose::Others)
}

/// Makes the quota.
pub(super) async fn begin(client: &Client, workshop: &Workshop) -> anyhow::Result<()> {
    org_quota(client, &quota(workshop)?).await
}

/// Makes everything that one participant has.
pub(super) async fn participant(
    client: &Client,
    workshop: &Workshop,
    (one, domain): (&Participant, &str),
    staged: &mut Staged,
    step: &show::Step,
) -> anyhow::Result<()> {
    let name = one.name.as_str();
    let email = format!("{name}@workshop.invalid");
    let owner = workshop.external_id();
    let user = accounts::ensure(client, (name, &email), &one.password, Some(&owner)).await?;
    let org = match org(client, workshop, name).await? {
        Whose::Own(guid) => guid,
        Whose::Others => bail!("there is an org {name} that is not the workshop's"),
        Whose::Nobodys => {
            let labels = Map::from_iter([(LABEL.to_owned(), json!(workshop.id))]);
            let body = json!({ "name": name, "metadata": { "labels": labels } });
            push::guid(&client.post("/v3/organizations", &body).await?)?
        }
    };
    let quota = quota(workshop)?.name;
    let list = format!("/v3/organization_quotas?names={}", encode(&quota));
    let member = json!({ "guid": org });
    assign(
        client,
        &list,
        ("organization_quotas", "organizations"),
        &member,
    )
    .await?;
    let space = push::ensure_space(client, name, SPACE).await?;
    for role in ["organization_user", "organization_manager"] {
        accounts::give(client, &user, role, ("organization", &org)).await?;
    }
    for role in ["space_developer", "space_manager"] {
        accounts::give(client, &user, role, ("space", &space)).await?;
    }
    if let Some(folder) = &workshop.lesson {
        services(client, &space, folder, step).await?;
        for app in lesson::apps(folder, name, domain)? {
            push_one(client, &space, &app, staged, step).await?;
        }
    }
    Ok(())
}

/// The services of the lesson's `services.yml`, which is a file of `cflite deploy`.
async fn services(
    client: &Client,
    space: &str,
    folder: &Path,
    step: &show::Step,
) -> anyhow::Result<()> {
    let path = folder.join("services.yml");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(());
    };
    let wanted = deploy::plan::read(&text).with_context(|| path.display().to_string())?;
    for one in &wanted {
        deploy::bring(client, space, one, step).await?;
    }
    Ok(())
}

/// What a participant changed since is left alone.
async fn push_one(
    client: &Client,
    space: &str,
    app: &App,
    staged: &mut Staged,
    step: &show::Step,
) -> anyhow::Result<()> {
    let list = format!("/v3/apps?space_guids={space}&names={}", encode(&app.name));
    if let Some(existing) = client.first(&list).await?
        && is_seeded(&existing, app)?
    {
        let droplet = existing.pointer("/relationships/current_droplet/data/guid");
        if let Some(droplet) = droplet {
            staged.0.entry(&app.name).or_insert_with(|| droplet.clone());
        }
        return Ok(());
    }
    let made = staged.0.get(&app.name).and_then(Value::as_str);
    let droplet = push_app(client, space, (app, made), step).await;
    let droplet = droplet.with_context(|| format!("app {}", app.name))?;
    staged.0.insert(app.name.clone(), droplet.into());
    Ok(())
}

/// Removes the org of a participant with all that is in it.
pub(super) async fn clear(
    client: &Client,
    workshop: &Workshop,
    one: &Participant,
) -> anyhow::Result<()> {
    match org(client, workshop, &one.name).await? {
        Whose::Own(guid) => {
            client
                .delete_job(&format!("/v3/organizations/{guid}"))
                .await
        }
        Whose::Nobodys => Ok(()),
        Whose::Others => {
            show::note(&format!(
                "The org {} stays: it is not the workshop's.",
                one.name
            ));
            Ok(())
        }
    }
}

/// Gives a participant the password on the card again, if there is an account.
pub(super) async fn renew(
    client: &Client,
    workshop: &Workshop,
    one: &Participant,
) -> anyhow::Result<()> {
    if let Whose::Own(guid) = account(client, workshop, &one.name).await? {
        accounts::set_password(client, &guid, &one.password).await?;
    }
    Ok(())
}

/// Removes a participant's org and account.
pub(super) async fn remove(
    client: &Client,
    workshop: &Workshop,
    one: &Participant,
) -> anyhow::Result<()> {
    clear(client, workshop, one).await?;
    match account(client, workshop, &one.name).await? {
        Whose::Own(guid) => accounts::remove(client, &guid).await,
        Whose::Nobodys => Ok(()),
        Whose::Others => {
            show::note(&format!(
                "The user {} stays: it is not the workshop's.",
                one.name
            ));
            Ok(())
        }
    }
}

/// Removes the quota, after all orgs.
pub(super) async fn finish(client: &Client, workshop: &Workshop) -> anyhow::Result<()> {
    let name = quota(workshop)?.name;
    let list = format!("/v3/organization_quotas?names={}", encode(&name));
    if let Some(quota) = client.first(&list).await? {
        let path = format!("/v3/organization_quotas/{}", push::guid(&quota)?);
        client.delete_job(&path).await?;
    }
    Ok(())
}
