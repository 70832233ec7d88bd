//! What one does to a space.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use serde_json::{Value, json};

use super::members::{self, SPACE_ROLES};
use crate::web::Console;
use crate::web::api::models::{Named, Organization, Space};
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::Refused;

pub(super) fn routes() -> Router<Console> {
    let below = |name: &str| format!("/console/spaces/{{guid}}/{name}");
    Router::new()
        .route(&below("rename"), post(rename))
        .route(&below("members"), post(give))
        .route(&below("members/{role}/remove"), post(take))
        .route(&below("features/{name}"), post(set_feature))
        .route(&below("quota"), post(set_quota))
        .route(&below("groups"), post(bind_group))
        .route(&below("groups/{when}/{group}/unbind"), post(unbind_group))
        .route(&below("delete"), post(delete))
}

fn page(guid: &str) -> String {
    format!("/console/spaces/{}", fmt::segment(guid))
}

fn path(guid: &str) -> String {
    format!("/v3/spaces/{}", fmt::segment(guid))
}

/// A space and its organization.
async fn load(change: &Change, guid: &str) -> Result<(Space, Organization), Refused> {
    let api = &change.visitor.api;
    let space: Space = api.get(&path(guid)).await?;
    let organization = space.relationships.organization.guid();
    let organization = api
        .get(&format!("/v3/organizations/{organization}"))
        .await?;
    Ok((space, organization))
}

async fn rename(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (space, _) = load(&change, &guid).await?;
    let name = change.fields.required("name", "Name")?;
    let api = &change.visitor.api;
    api.patch(&path(&guid), json!({ "name": name })).await?;
    let command = format!(
        "cf rename-space {} {}",
        fmt::word(&space.name),
        fmt::word(name)
    );
    Ok(change
        .done(format!("The space is called {name}"), page(&guid))
        .command(command))
}

async fn give(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (space, organization) = load(&change, &guid).await?;
    let place = (space.guid.as_str(), organization.guid.as_str());
    let (name, kind) = members::give_in_space(&change, place, SPACE_ROLES).await?;
    let command = format!(
        "cf set-space-role {} {} {} {}",
        fmt::word(&name),
        fmt::word(&organization.name),
        fmt::word(&space.name),
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
    let (space, organization) = load(&change, &guid).await?;
    let kind = members::take(&change, &space.guid, &role, SPACE_ROLES).await?;
    let command = format!(
        "cf unset-space-role USER {} {} {}",
        fmt::word(&organization.name),
        fmt::word(&space.name),
        kind.word
    );
    Ok(change
        .done(
            format!("The role {} is taken away", kind.label),
            page(&guid),
        )
        .command(command))
}

async fn set_feature(
    Path((guid, name)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let (space, _) = load(&change, &guid).await?;
    let enabled = change.fields.has("enabled");
    let path = format!("{}/features/{}", path(&guid), fmt::segment(&name));
    let api = &change.visitor.api;
    api.patch(&path, json!({ "enabled": enabled })).await?;
    let (word, verb) = if enabled {
        ("allowed", "allow")
    } else {
        ("not allowed", "disallow")
    };
    let command = format!("cf {verb}-space-{name} {}", fmt::word(&space.name));
    Ok(change
        .done(format!("{name} is {word} in the space"), page(&guid))
        .command(command))
}

async fn set_quota(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (space, _) = load(&change, &guid).await?;
    let api = &change.visitor.api;
    let current = space.relationships.quota.guid();
    let name = fmt::word(&space.name);
    let Some(quota) = change.fields.text("quota") else {
        if current.is_empty() {
            return Err(Refused::field("quota", "The space has no quota"));
        }
        let quota = format!("/v3/space_quotas/{current}");
        let named: Named = api.get(&quota).await?;
        api.delete(&format!("{quota}/relationships/spaces/{}", space.guid))
            .await?;
        let command = format!("cf unset-space-quota {name} {}", fmt::word(&named.name));
        return Ok(change
            .done("The space has no quota of its own", page(&guid))
            .command(command));
    };
    let quota = format!("/v3/space_quotas/{}", fmt::segment(quota));
    let named: Named = api.get(&quota).await?;
    let body = json!({ "data": [{ "guid": space.guid }] });
    api.post(&format!("{quota}/relationships/spaces"), body)
        .await?;
    let command = format!("cf set-space-quota {name} {}", fmt::word(&named.name));
    Ok(change
        .done(
            format!("The space has the quota {}", named.name),
            page(&guid),
        )
        .command(command))
}

/// `running` or `staging`.
fn lifecycle(word: &str) -> Result<&'static str, Refused> {
    match word {
        "running" => Ok("running"),
        "staging" => Ok("staging"),
        _ => Err(Refused::field("when", "When must be running or staging")),
    }
}

async fn group(change: &Change, guid: &str) -> Result<(String, Named), Refused> {
    let path = format!("/v3/security_groups/{}", fmt::segment(guid));
    let named: Named = change.visitor.api.get(&path).await?;
    Ok((path, named))
}

async fn bind_group(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (space, organization) = load(&change, &guid).await?;
    let wanted = change.fields.required("group", "Security group")?;
    let (path, named) = group(&change, wanted).await?;
    let when = lifecycle(change.fields.required("when", "When")?)?;
    let body: Value = json!({ "data": [{ "guid": space.guid }] });
    let path = format!("{path}/relationships/{when}_spaces");
    change.visitor.api.post(&path, body).await?;
    let command = format!(
        "cf bind-security-group {} {} --space {} --lifecycle {when}",
        fmt::word(&named.name),
        fmt::word(&organization.name),
        fmt::word(&space.name)
    );
    Ok(change
        .done(
            format!("{} applies after the next restart", named.name),
            page(&guid),
        )
        .command(command))
}

async fn unbind_group(
    Path((guid, when, of)): Path<(String, String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let (space, organization) = load(&change, &guid).await?;
    let (path, named) = group(&change, &of).await?;
    let when = lifecycle(&when)?;
    let path = format!("{path}/relationships/{when}_spaces/{}", space.guid);
    change.visitor.api.delete(&path).await?;
    let command = format!(
        "cf unbind-security-group {} {} {} --lifecycle {when}",
        fmt::word(&named.name),
        fmt::word(&organization.name),
        fmt::word(&space.name)
    );
    Ok(change
        .done(format!("{} is no longer bound", named.name), page(&guid))
        .command(command))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let (space, organization) = load(&change, &guid).await?;
    let name = &space.name;
    change.fields.typed(name, "the space")?;
    let api = &change.visitor.api;
    let reply = api.delete(&path(&guid)).await?;
    let progress = api.finish(&reply).await?;
    let command = format!(
        "cf delete-space {} -o {} -f",
        fmt::word(name),
        fmt::word(&organization.name)
    );
    Ok(change
        .done(
            progress.deleted(&format!("The space {name}")),
            format!("/console/orgs/{}", organization.guid),
        )
        .command(command))
}
