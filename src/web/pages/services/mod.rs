//! Service instances: the list, the marketplace, one instance, and brokers.

mod bindings;
mod brokers;
mod changes;
mod data;
mod head;
mod instance;
mod marketplace;
mod schema;

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::apps::{Choice, spaces};
use crate::web::Console;
use crate::web::api::models::Included;
use crate::web::api::services::{Binding, Operation, ServiceInstance};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

/// What instances bring: plan, offering, space and organization by name.
const NAMES: &str = "fields[space]=guid,name,relationships.organization\
&fields[space.organization]=guid,name\
&fields[service_plan]=guid,name,relationships.service_offering\
&fields[service_plan.service_offering]=guid,name";
/// Rows that are shown; a filter finds the others.
const MOST: usize = 500;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/services", get(list))
        .merge(marketplace::routes())
        .merge(instance::routes())
        .merge(changes::routes())
        .merge(bindings::routes())
        .merge(data::routes())
        .merge(brokers::routes())
}

/// What the address asks for.
#[derive(Deserialize)]
struct Asked {
    /// A part of the name, the offering or a tag.
    #[serde(default)]
    q: String,
    #[serde(default)]
    space: String,
}

/// An instance of the list.
struct Row {
    guid: String,
    name: String,
    offering: String,
    plan: String,
    place: String,
    bound: usize,
    operation: Option<Operation>,
    upgrade: bool,
    updated_at: String,
}

#[derive(Template)]
#[template(path = "console/services/list.html")]
struct Page {
    frame: Frame,
    asked: Asked,
    rows: Vec<Row>,
    found: usize,
    total: usize,
    spaces: Vec<Choice>,
}

async fn list(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, Refused> {
    let api = &visitor.api;
    let mut path = format!("/v3/service_instances?{NAMES}&order_by=name");
    if !asked.space.is_empty() {
        path = format!("{path}&space_guids={}", fmt::query(&asked.space));
    }
    let (instances, bindings, spaces) = tokio::try_join!(
        api.all::<ServiceInstance>(&path, 2),
        api.all::<Binding>("/v3/service_credential_bindings?type=app", 2),
        spaces(&visitor),
    )?;
    let mut bound: HashMap<&str, usize> = HashMap::new();
    for binding in &bindings.resources {
        let instance = binding.relationships.service_instance.guid();
        *bound.entry(instance).or_default() += 1;
    }
    let names = Names::of(&instances.included);
    let total = instances.resources.len();
    let mut rows: Vec<Row> = Vec::new();
    let part = asked.q.to_lowercase();
    for instance in &instances.resources {
        let row = names.row(instance, bound.get(instance.guid.as_str()).copied());
        let texts = [&row.name, &row.offering, &row.plan];
        let texts = texts.into_iter().chain(&instance.tags);
        if texts
            .into_iter()
            .any(|text| text.to_lowercase().contains(&part))
        {
            rows.push(row);
        }
    }
    let found = rows.len();
    rows.truncate(MOST);
    show::page(&Page {
        frame: Frame::new(&visitor, "services"),
        asked,
        rows,
        found,
        total,
        spaces,
    })
}

/// Plans, offerings and spaces by their guids.
struct Names<'a>(&'a Included);

impl<'a> Names<'a> {
    fn of(included: &'a Included) -> Self {
        Self(included)
    }

    /// Offering and plan.
    fn offer(&self, plan: &str) -> (String, String) {
        let mut plans = self.0.service_plans.iter();
        let Some(plan) = plans.find(|one| one.guid == plan) else {
            return (String::new(), String::new());
        };
        let guid = plan.relationships.service_offering.guid();
        let mut offerings = self.0.service_offerings.iter();
        let offering = offerings.find(|one| one.guid == guid);
        let offering = offering.map(|one| one.name.clone());
        (offering.unwrap_or_default(), plan.name.clone())
    }

    /// `organization / space`.
    fn place(&self, space: &str) -> String {
        let mut spaces = self.0.spaces.iter();
        let Some(space) = spaces.find(|one| one.guid == space) else {
            return String::new();
        };
        let guid = space.relationships.organization.guid();
        let mut organizations = self.0.organizations.iter();
        let organization = organizations.find(|one| one.guid == guid);
        let organization = organization.map_or("", |one| one.name.as_str());
        format!("{organization} / {}", space.name)
    }

    fn row(&self, instance: &ServiceInstance, bound: Option<usize>) -> Row {
        let of = &instance.relationships;
        let (offering, plan) = if instance.kind == "managed" {
            self.offer(of.service_plan.guid())
        } else {
            ("user-provided".to_owned(), String::new())
        };
        Row {
            guid: instance.guid.clone(),
            name: instance.name.clone(),
            offering,
            plan,
            place: self.place(of.space.guid()),
            bound: bound.unwrap_or_default(),
            operation: instance.last_operation.clone(),
            upgrade: instance.upgrade_available == Some(true),
            updated_at: instance.updated_at.clone(),
        }
    }
}
