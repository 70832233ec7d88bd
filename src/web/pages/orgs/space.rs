//! One space: apps, services, routes, members, security groups, quota, features.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::limits::{Bar, Quota, Summary, bars};
use super::members::{Kind, Member, SPACE_ROLES, members};
use crate::web::Console;
use crate::web::api::models::{App, Event, Named, Organization, Process, Route, Space};
use crate::web::api::services::ServiceInstance;
use crate::web::api::{Api, Failure, List};
use crate::web::frame::Frame;
use crate::web::pages::apps::{Row, rows};
use crate::web::show::{self, Refused};
use crate::web::visitor::{InSpace, Visitor};
use crate::web::{events, fmt};

const EVENTS: usize = 8;
/// Rows of each kind; the lists show all.
const MOST: usize = 50;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/spaces/{guid}", get(page))
}

#[derive(Deserialize)]
struct Features {
    resources: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    name: String,
    description: String,
    enabled: bool,
}

/// A security group that a space has.
#[derive(Deserialize)]
struct Group {
    guid: String,
    name: String,
    globally_enabled: Everywhere,
}

#[derive(Deserialize)]
struct Everywhere {
    running: bool,
    staging: bool,
}

/// A security group and when it applies.
struct Applied {
    guid: String,
    name: String,
    /// `running` or `staging`.
    when: &'static str,
    everywhere: bool,
}

#[derive(Template)]
#[template(path = "console/orgs/space.html")]
struct Page {
    frame: Frame,
    space: Space,
    organization: Organization,
    may: InSpace,
    is_manager: bool,
    rows: Vec<Row>,
    apps: usize,
    services: Vec<ServiceInstance>,
    service_count: usize,
    routes: Vec<Route>,
    route_count: usize,
    kinds: &'static [Kind],
    members: Vec<Member>,
    groups: Vec<Applied>,
    free_groups: Vec<Named>,
    quota: Option<Quota>,
    quotas: Vec<Named>,
    bars: Vec<Bar>,
    features: Vec<Feature>,
    events: Vec<events::Line>,
}

/// What runs and is used in a space.
struct Contents {
    apps: List<App>,
    processes: List<Process>,
    services: List<ServiceInstance>,
    routes: List<Route>,
}

impl Contents {
    async fn load(api: &Api, guid: &str) -> Result<Self, Failure> {
        let apps = format!(
            "/v3/apps?space_guids={guid}&order_by=name&per_page={MOST}&include=space.organization"
        );
        let processes = format!("/v3/processes?space_guids={guid}&embed=process_instances");
        let services =
            format!("/v3/service_instances?space_guids={guid}&order_by=name&per_page={MOST}");
        let routes = format!("/v3/routes?space_guids={guid}&per_page={MOST}");
        let (apps, processes, services, routes) = tokio::try_join!(
            api.list(&apps),
            api.all(&processes, 1),
            api.list(&services),
            api.list(&routes),
        )?;
        Ok(Self {
            apps,
            processes,
            services,
            routes,
        })
    }
}

/// What is set for a space.
struct Rules {
    usage: Summary,
    features: Option<Features>,
    quota: Option<Quota>,
    quotas: List<Named>,
    events: List<Event>,
}

impl Rules {
    async fn load(api: &Api, space: &Space) -> Result<Self, Failure> {
        let guid = &space.guid;
        let organization = space.relationships.organization.guid();
        let usage = format!("/v3/spaces/{guid}/usage_summary");
        let features = format!("/v3/spaces/{guid}/features");
        let events =
            format!("/v3/audit_events?space_guids={guid}&order_by=-created_at&per_page={EVENTS}");
        let quotas = format!("/v3/space_quotas?organization_guids={organization}&order_by=name");
        let quota = space.relationships.quota.guid();
        let quota = async {
            if quota.is_empty() {
                return Ok(None);
            }
            api.find(&format!("/v3/space_quotas/{quota}")).await
        };
        let (usage, features, quota, quotas, events) = tokio::try_join!(
            api.get(&usage),
            api.find(&features),
            quota,
            api.all(&quotas, 1),
            api.list(&events),
        )?;
        Ok(Self {
            usage,
            features,
            quota,
            quotas,
            events,
        })
    }
}

async fn page(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let api = &visitor.api;
    let space: Space = api
        .get(&format!("/v3/spaces/{}", fmt::segment(&guid)))
        .await?;
    let guid = &space.guid;
    let organization = space.relationships.organization.guid();
    let organization = format!("/v3/organizations/{organization}");
    let (organization, contents, rules) = tokio::try_join!(
        api.get::<Organization>(&organization),
        Contents::load(api, guid),
        Rules::load(api, &space),
    )?;
    let (groups, free_groups) = groups(&visitor, guid).await?;
    let filter = format!("space_guids={guid}");
    let apps = contents.apps;
    show::page(&Page {
        members: members(&visitor, &filter, SPACE_ROLES).await?,
        is_manager: visitor.manages(&organization.guid).await?,
        may: visitor.in_space(guid, &organization.guid).await?,
        frame: Frame::new(&visitor, "orgs"),
        apps: apps.pagination.total_results,
        rows: rows(
            apps.resources,
            &apps.included,
            &contents.processes.resources,
        ),
        service_count: contents.services.pagination.total_results,
        services: contents.services.resources,
        route_count: contents.routes.pagination.total_results,
        routes: contents.routes.resources,
        kinds: SPACE_ROLES,
        groups,
        free_groups,
        bars: bars(&rules.usage, rules.quota.as_ref()),
        quota: rules.quota,
        quotas: rules.quotas.resources,
        features: rules.features.map(|all| all.resources).unwrap_or_default(),
        events: { rules.events.resources.iter() }
            .map(events::Line::of)
            .collect(),
        organization,
        space,
    })
}

/// The security groups that apply, and all that could be bound besides.
async fn groups(visitor: &Visitor, space: &str) -> Result<(Vec<Applied>, Vec<Named>), Refused> {
    let api = &visitor.api;
    let of = |when: &str| format!("/v3/spaces/{space}/{when}_security_groups?order_by=created_at");
    let (running, staging) = (of("running"), of("staging"));
    let (running, staging, all) = tokio::try_join!(
        api.all::<Group>(&running, 1),
        api.all::<Group>(&staging, 1),
        api.all::<Named>("/v3/security_groups?order_by=created_at", 1),
    )?;
    let mut applied = Vec::new();
    for (when, groups) in [
        ("running", running.resources),
        ("staging", staging.resources),
    ] {
        applied.extend(groups.into_iter().map(|group| Applied {
            everywhere: if when == "running" {
                group.globally_enabled.running
            } else {
                group.globally_enabled.staging
            },
            guid: group.guid,
            name: group.name,
            when,
        }));
    }
    Ok((applied, all.resources))
}
