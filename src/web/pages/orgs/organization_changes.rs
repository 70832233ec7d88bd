//! What one does to an organization.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use serde_json::json;

use super::members::{self, ORGANIZATION_ROLES};
use crate::web::Console;
use crate::web::api::models::{Named, Organization};
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::Refused;

pub(super) fn routes() -> Router<Console> {
    let below = |name: &str| format!("/console/orgs/{{guid}}/{name}");
    Router::new()
        .route(&below("spaces"), post(create_space))
        .route(&below("rename"), post(rename))
        .route(&below("suspend"), post(suspend))
        .route(&below("quota"), post(set_quota))
        .route(&below("members"), post(give))
        .route(&below("members/{role}/remove"), post(take))
        .route(&below("domains"), post(create_domain))
        .route(&below("delete"), post(delete))
}

fn page(guid: &str) -> String {
    format!("/console/orgs/{}", fmt::segment(guid))
}

fn path(guid: &str) -> String {
    format!("/v3/organizations/{}", fmt::segment(guid))
}

async fn load(change: &Change, guid: &str) -> Result<Organization, Refused> {
    Ok(change.visitor.api.get(&path(guid)).await?)
}

pub(super) async fn create(change: Change) -> Result<Outcome, Refused> {
    let name = change.fields.required("name", "Name")?;
    let api = &change.visitor.api;
    let reply = api
        .post("/v3/organizations", json!({ "name": name }))
        .await?;
    let guid = reply.guid()?;
    Ok(change
        .done(format!("The org {name} is there"), page(&guid))
        .command(format!("cf create-org {}", fmt::word(name))))
}

async fn create_space(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let organization = load(&change, &guid).await?;
    let name = change.fields.required("name", "Name")?;
    let body = json!({ "name": name, "relationships": {
        "organization": { "data": { "guid": organization.guid } } } });
    let api = &change.visitor.api;
    let space = api.post("/v3/spaces", body).await?.guid()?;
    // As the cf CLI does: who makes a space works in it.
    let mut text = format!("The space {name} is there");
    if change.fields.has("own_roles") {
        for kind in ["space_manager", "space_developer"] {
            let body = json!({ "type": kind, "relationships": {
                "user": { "data": { "guid": change.visitor.user_guid() } },
                "space": { "data": { "guid": space } },
            } });
            if let Err(failure) = api.post("/v3/roles", body).await {
                text = format!("{text}; you could not be made its {kind}: {failure}");
            }
        }
    }
    let command = format!(
        "cf create-space {} -o {}",
        fmt::word(name),
        fmt::word(&organization.name)
    );
    Ok(change
        .done(text, format!("/console/spaces/{space}"))
        .command(command))
}

async fn rename(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let organization = load(&change, &guid).await?;
    let name = change.fields.required("name", "Name")?;
    let api = &change.visitor.api;
    api.patch(&path(&guid), json!({ "name": name })).await?;
    let command = format!(
        "cf rename-org {} {}",
        fmt::word(&organization.name),
        fmt::word(name)
    );
    Ok(change
        .done(format!("The org is called {name}"), page(&guid))
        .command(command))
}

async fn suspend(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let suspended = change.fields.has("suspended");
    let api = &change.visitor.api;
    let body = json!({ "suspended": suspended });
    api.patch(&path(&guid), body.clone()).await?;
    let text = if suspended {
        "The org is suspended: only administrators change anything in it"
    } else {
        "The org is active again"
    };
    let command = format!(
        "cf curl -X PATCH {} -d {}",
        path(&guid),
        fmt::word(&body.to_string())
    );
    Ok(change.done(text, page(&guid)).command(command))
}

async fn set_quota(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let organization = load(&change, &guid).await?;
    let quota = change.fields.required("quota", "Quota")?;
    let quota = format!("/v3/organization_quotas/{}", fmt::segment(quota));
    let api = &change.visitor.api;
    let named: Named = api.get(&quota).await?;
    let path = format!("{quota}/relationships/organizations");
    let body = json!({ "data": [{ "guid": organization.guid }] });
    api.post(&path, body).await?;
    let command = format!(
        "cf set-org-quota {} {}",
        fmt::word(&organization.name),
        fmt::word(&named.name)
    );
    Ok(change
        .done(format!("The org has the quota {}", named.name), page(&guid))
        .command(command))
}

async fn give(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let organization = load(&change, &guid).await?;
    let given = members::give_in_organization(&change, &organization.guid, ORGANIZATION_ROLES);
    let (name, kind) = given.await?;
    let command = format!(
        "cf set-org-role {} {} {}",
        fmt::word(&name),
        fmt::word(&organization.name),
        kind.word
    );
    Ok(change
        .done(format!("{name} is {}", kind.label), page(&guid))
        .command(command))
}

async fn take(
    Path((guid, role)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let organization = load(&change, &guid).await?;
    let kind = members::take(&change, &organization.guid, &role, ORGANIZATION_ROLES).await?;
    let command = format!(
        "cf unset-org-role USER {} {}",
        fmt::word(&organization.name),
        kind.word
    );
    Ok(change
        .done(
            format!("The role {} is taken away", kind.label),
            page(&guid),
        )
        .command(command))
}

async fn create_domain(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let organization = load(&change, &guid).await?;
    let name = change.fields.required("domain", "Name")?;
    let body = json!({ "name": name, "relationships": {
        "organization": { "data": { "guid": organization.guid } } } });
    change.visitor.api.post("/v3/domains", body).await?;
    let command = format!(
        "cf create-private-domain {} {}",
        fmt::word(&organization.name),
        fmt::word(name)
    );
    Ok(change
        .done(format!("The domain {name} is there"), page(&guid))
        .command(command))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let organization = load(&change, &guid).await?;
    let name = &organization.name;
    change.fields.typed(name, "the org")?;
    let api = &change.visitor.api;
    let reply = api.delete(&path(&guid)).await?;
    let progress = api.finish(&reply).await?;
    Ok(change
        .done(
            progress.deleted(&format!("The org {name}")),
            "/console/orgs",
        )
        .command(format!("cf delete-org {} -f", fmt::word(name))))
}
