//! Does what a plan says, through the public API. Each step finds by name what the steps before it
//! made, so that a run that was interrupted is completed by the next.

use anyhow::Context;
use serde_json::{Value, json};

use super::super::accounts;
use super::super::client::{Client, encode};
use super::super::{deploy, push, show};
use super::apps;
use super::file::{Org, Provided, Role, Space, User};
use super::plan::{Change, Item, Thing};
use super::quota::Quota;

/// Does what one item needs.
pub(in crate::cli) async fn apply(
    client: &Client,
    item: &Item<'_>,
    step: &show::Step,
) -> anyhow::Result<()> {
    match item.thing {
        Thing::Flag(name, on) => {
            let path = format!("/v3/feature_flags/{name}");
            client.patch(&path, &json!({ "enabled": on })).await?;
        }
        Thing::Quota(quota) => org_quota(client, quota).await?,
        Thing::User(user) => of_user(client, user).await?,
        Thing::Org(org) => of_org(client, org).await?,
        Thing::OrgRole(org, one) => {
            let guid = organization(client, &org.name).await?;
            role(client, ("organization", &guid), one).await?;
        }
        Thing::SpaceQuota(org, quota) => {
            let guid = organization(client, &org.name).await?;
            space_quota(client, &guid, quota).await?;
        }
        Thing::Space(org, space) => of_space(client, org, space).await?,
        Thing::SpaceRole(org, space, one) => {
            let guid = organization(client, &org.name).await?;
            let member = Role {
                kind: "organization_user",
                ..one.clone()
            };
            role(client, ("organization", &guid), &member).await?;
            let guid = space_guid(client, org, space).await?;
            role(client, ("space", &guid), one).await?;
        }
        Thing::Managed(org, space, wanted) => {
            let guid = space_guid(client, org, space).await?;
            deploy::bring(client, &guid, wanted, step).await?;
        }
        Thing::Provided(org, space, wanted) => {
            let guid = space_guid(client, org, space).await?;
            user_provided(client, &guid, wanted, &item.change).await?;
        }
        Thing::App(org, space, app) => {
            let guid = space_guid(client, org, space).await?;
            apps::apply(client, &guid, (app, None), step).await?;
        }
    }
    Ok(())
}

async fn of_user(client: &Client, user: &User) -> anyhow::Result<()> {
    let password = user.password.as_ref();
    let password = password.with_context(|| format!("the user {} has no password", user.name))?;
    let email = user.email.as_deref().unwrap_or(&user.name);
    accounts::ensure(client, (&user.name, email), password, None).await?;
    Ok(())
}

/// The quota with this name has these limits afterwards.
pub(in crate::cli) async fn org_quota(client: &Client, quota: &Quota) -> anyhow::Result<()> {
    let list = format!("/v3/organization_quotas?names={}", encode(&quota.name));
    let body = quota.body();
    match client.first(&list).await? {
        None => client.post("/v3/organization_quotas", &body).await?,
        Some(existing) => {
            let path = format!("/v3/organization_quotas/{}", push::guid(&existing)?);
            client.patch(&path, &body).await?
        }
    };
    Ok(())
}

async fn space_quota(client: &Client, org: &str, quota: &Quota) -> anyhow::Result<()> {
    let list = format!(
        "/v3/space_quotas?organization_guids={org}&names={}",
        encode(&quota.name)
    );
    let mut body = quota.body();
    match client.first(&list).await? {
        None => {
            body["relationships"] = json!({ "organization": { "data": { "guid": org } } });
            client.post("/v3/space_quotas", &body).await?;
        }
        Some(existing) => {
            let path = format!("/v3/space_quotas/{}", push::guid(&existing)?);
            client.patch(&path, &body).await?;
        }
    }
    Ok(())
}

async fn of_org(client: &Client, org: &Org) -> anyhow::Result<()> {
    let list = format!("/v3/organizations?names={}", encode(&org.name));
    let body = json!({ "name": org.name });
    let existing = client.ensure(&list, "/v3/organizations", &body).await?;
    if let Some(quota) = &org.quota {
        let list = format!("/v3/organization_quotas?names={}", encode(quota));
        assign(
            client,
            &list,
            ("organization_quotas", "organizations"),
            &existing,
        )
        .await?;
    }
    Ok(())
}

async fn of_space(client: &Client, org: &Org, space: &Space) -> anyhow::Result<()> {
    let guid = push::ensure_space(client, &org.name, &space.name).await?;
    if let Some(quota) = &space.quota {
        let org = organization(client, &org.name).await?;
        let list = format!(
            "/v3/space_quotas?organization_guids={org}&names={}",
            encode(quota)
        );
        let existing = json!({ "guid": guid });
        assign(client, &list, ("space_quotas", "spaces"), &existing).await?;
    }
    Ok(())
}

/// Gives the quota that `list` finds to an organization or space.
pub(in crate::cli) async fn assign(
    client: &Client,
    list: &str,
    (kind, members): (&str, &str),
    member: &Value,
) -> anyhow::Result<()> {
    let quota = client.first(list).await?.context("the quota is gone")?;
    let path = format!("/v3/{kind}/{}/relationships/{members}", push::guid(&quota)?);
    let body = json!({ "data": [{ "guid": push::guid(member)? }] });
    client.post(&path, &body).await?;
    Ok(())
}

/// Gives a role, unless the user has it.
async fn role(client: &Client, (scope, guid): (&str, &str), role: &Role) -> anyhow::Result<()> {
    let list = format!("/v3/users?usernames={}", encode(&role.user));
    let user = client.first(&list).await?;
    let user = user.with_context(|| format!("the user {} is gone", role.user))?;
    accounts::give(client, &push::guid(&user)?, role.kind, (scope, guid)).await
}

async fn organization(client: &Client, name: &str) -> anyhow::Result<String> {
    let path = format!("/v3/organizations?names={}", encode(name));
    let found = client.first(&path).await?;
    push::guid(&found.with_context(|| format!("the org {name} is gone"))?)
}

async fn space_guid(client: &Client, org: &Org, space: &Space) -> anyhow::Result<String> {
    push::ensure_space(client, &org.name, &space.name).await
}

async fn user_provided(
    client: &Client,
    space: &str,
    wanted: &Provided,
    change: &Change,
) -> anyhow::Result<()> {
    let mut body = Value::Object(wanted.settings.clone());
    if let Some(credentials) = &wanted.credentials {
        body["credentials"] = Value::Object(credentials.clone());
    }
    let list = format!(
        "/v3/service_instances?space_guids={space}&names={}",
        encode(&wanted.name)
    );
    let existing = client.first(&list).await?;
    match (existing, change) {
        (Some(existing), _) => {
            let path = format!("/v3/service_instances/{}", push::guid(&existing)?);
            client.patch(&path, &body).await?;
        }
        (None, _) => {
            body["type"] = json!("user-provided");
            body["name"] = json!(wanted.name);
            body["relationships"] = json!({ "space": { "data": { "guid": space } } });
            client.post("/v3/service_instances", &body).await?;
        }
    }
    Ok(())
}
