//! One organization: spaces, quota, members, domains.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::limits::{Bar, Quota, Summary, bars};
use super::members::{Kind, Member, ORGANIZATION_ROLES, members};
use crate::web::Console;
use crate::web::api::models::{App, Event, Named, Organization, Space, ToOne};
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{events, fmt};

const EVENTS: usize = 8;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/orgs/{guid}", get(page))
}

/// A domain that apps of the organization may use.
#[derive(Deserialize)]
pub(in crate::web) struct Domain {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    pub(in crate::web) internal: bool,
    #[serde(default)]
    pub(in crate::web) supported_protocols: Vec<String>,
    pub(in crate::web) relationships: OfDomain,
}

#[derive(Deserialize)]
pub(in crate::web) struct OfDomain {
    #[serde(default)]
    pub(in crate::web) organization: ToOne,
    #[serde(default)]
    pub(in crate::web) shared_organizations: super::limits::Members,
}

impl Domain {
    /// Whether it belongs to one organization.
    pub(in crate::web) fn is_private(&self) -> bool {
        !self.relationships.organization.guid().is_empty()
    }

    /// Who may use it.
    pub(in crate::web) fn scope(&self) -> &'static str {
        match (self.internal, self.is_private()) {
            (true, _) => "internal",
            (_, true) => "private",
            _ => "shared",
        }
    }
}

/// A space of the list.
struct Row {
    space: Space,
    started: usize,
    stopped: usize,
}

#[derive(Template)]
#[template(path = "console/orgs/organization.html")]
struct Page {
    frame: Frame,
    organization: Organization,
    rows: Vec<Row>,
    quota: Option<Quota>,
    quotas: Vec<Named>,
    bars: Vec<Bar>,
    kinds: &'static [Kind],
    members: Vec<Member>,
    domains: Vec<Domain>,
    may_manage: bool,
    events: Vec<events::Line>,
}

async fn page(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let api = &visitor.api;
    let guid = fmt::segment(&guid);
    let organization: Organization = api.get(&format!("/v3/organizations/{guid}")).await?;
    let guid = &organization.guid;
    let spaces = format!("/v3/spaces?organization_guids={guid}&order_by=name");
    let apps = format!("/v3/apps?organization_guids={guid}");
    let domains = format!("/v3/organizations/{guid}/domains?order_by=created_at");
    let quota = organization.relationships.quota.guid();
    let quota = format!("/v3/organization_quotas/{quota}");
    let usage = format!("/v3/organizations/{guid}/usage_summary");
    let events = format!(
        "/v3/audit_events?organization_guids={guid}&order_by=-created_at&per_page={EVENTS}"
    );
    let (spaces, apps, domains, quota, usage, events, quotas) = tokio::try_join!(
        api.all::<Space>(&spaces, 1),
        api.all::<App>(&apps, 2),
        api.all::<Domain>(&domains, 1),
        api.find::<Quota>(&quota),
        api.get::<Summary>(&usage),
        api.list::<Event>(&events),
        api.all::<Named>("/v3/organization_quotas?order_by=name", 1),
    )?;
    let row = |space: Space| {
        let of = |app: &&App| app.relationships.space.guid() == space.guid;
        let own = apps.resources.iter().filter(of);
        let (started, stopped): (Vec<&App>, Vec<&App>) =
            own.partition(|app| app.state == "STARTED");
        Row {
            space,
            started: started.len(),
            stopped: stopped.len(),
        }
    };
    let filter = format!("organization_guids={guid}");
    show::page(&Page {
        members: members(&visitor, &filter, ORGANIZATION_ROLES).await?,
        may_manage: visitor.manages(guid).await?,
        frame: Frame::new(&visitor, "orgs"),
        rows: spaces.resources.into_iter().map(row).collect(),
        bars: bars(&usage, quota.as_ref()),
        quota,
        quotas: quotas.resources,
        kinds: ORGANIZATION_ROLES,
        domains: domains.resources,
        events: events::lines(&events.resources),
        organization,
    })
}
