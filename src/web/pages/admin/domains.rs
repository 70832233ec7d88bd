//! All domains: shared, private and internal ones.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::pages::orgs::Domain;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PAGE: &str = "/console/domains";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page).post(create))
        .route("/console/domains/{guid}/share", post(share))
        .route("/console/domains/{guid}/unshare/{org}", post(unshare))
        .route("/console/domains/{guid}/delete", post(delete))
}

/// A domain of the list.
struct Row {
    domain: Domain,
    owner: String,
    guests: Vec<Named>,
    may_change: bool,
}

#[derive(Template)]
#[template(path = "console/admin/domains.html")]
struct Page {
    frame: Frame,
    tab: &'static str,
    rows: Vec<Row>,
    organizations: Vec<Named>,
}

async fn page(visitor: Visitor) -> Result<Response, Refused> {
    let api = &visitor.api;
    let (domains, organizations) = tokio::try_join!(
        api.all::<Domain>("/v3/domains?order_by=created_at", 1),
        api.all::<Named>("/v3/organizations?order_by=name", 2),
    )?;
    let named = |guid: &str| {
        let mut all = organizations.resources.iter();
        all.find(|one| one.guid == guid).cloned()
    };
    let mut rows = Vec::new();
    for domain in domains.resources {
        let owner = domain.relationships.organization.guid();
        let guests = domain.relationships.shared_organizations.data.iter();
        rows.push(Row {
            may_change: visitor.is_admin() || domain.is_private() && visitor.manages(owner).await?,
            owner: named(owner).map(|one| one.name).unwrap_or_default(),
            guests: guests.filter_map(|one| named(&one.guid)).collect(),
            domain,
        });
    }
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        tab: "domains",
        rows,
        organizations: organizations.resources,
    })
}

fn path(guid: &str) -> String {
    format!("/v3/domains/{}", fmt::segment(guid))
}

async fn create(change: Change) -> Result<Outcome, Refused> {
    let name = change.fields.required("name", "Name")?;
    let internal = change.fields.has("internal");
    let mut body = json!({ "name": name });
    let mut command = format!("cf create-shared-domain {}", fmt::word(name));
    if internal {
        body["internal"] = true.into();
        command.push_str(" --internal");
    }
    change.visitor.api.post("/v3/domains", body).await?;
    Ok(change
        .done(format!("The domain {name} is there"), PAGE)
        .command(command))
}

async fn share(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let domain: Named = api.get(&path(&guid)).await?;
    let organization = change.fields.required("organization", "Org")?;
    let body = json!({ "data": [{ "guid": organization }] });
    let relation = format!("{}/relationships/shared_organizations", path(&guid));
    api.post(&relation, body).await?;
    let command = format!("cf share-private-domain ORG {}", fmt::word(&domain.name));
    Ok(change
        .done(format!("{} is shared", domain.name), PAGE)
        .command(command))
}

async fn unshare(
    Path((guid, organization)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let domain: Named = api.get(&path(&guid)).await?;
    let relation = format!("{}/relationships/shared_organizations", path(&guid));
    api.delete(&format!("{relation}/{}", fmt::segment(&organization)))
        .await?;
    let command = format!("cf unshare-private-domain ORG {}", fmt::word(&domain.name));
    Ok(change
        .done(format!("{} is no longer shared", domain.name), PAGE)
        .command(command))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let api = &change.visitor.api;
    let domain: Domain = api.get(&path(&guid)).await?;
    change.fields.typed(&domain.name, "the domain")?;
    let reply = api.delete(&path(&guid)).await?;
    let progress = api.finish(&reply).await?;
    let kind = if domain.is_private() {
        "private"
    } else {
        "shared"
    };
    let command = format!("cf delete-{kind}-domain {} -f", fmt::word(&domain.name));
    Ok(change
        .done(progress.deleted(&domain.name), PAGE)
        .command(command))
}
