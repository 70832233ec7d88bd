//! One service instance: what was last done to it, who uses it, and what may be changed.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use super::data::Data;
use super::head::Head;
use super::schema::{self, Field};
use crate::web::Console;
use crate::web::api::List;
use crate::web::api::models::{Event, Named};
use crate::web::api::services::{Binding, Plan};
use crate::web::events;
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::pages::apps::{Choice, spaces};
use crate::web::pages::places::develops;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const EVENTS: usize = 8;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/services/{guid}", get(page))
}

/// A binding to an app, or a key.
struct Bound {
    binding: Binding,
    /// The app's or the key's name.
    name: String,
    /// The app's page.
    link: String,
}

/// A space that the instance is shared with.
struct Guest {
    guid: String,
    name: String,
    bound: u64,
}

#[derive(Template)]
#[template(path = "console/services/instance.html")]
struct Page {
    frame: Frame,
    head: Head,
    bound: Vec<Bound>,
    /// Apps of the space that are not bound.
    apps: Vec<Choice>,
    /// Other plans of the offering.
    plans: Vec<Plan>,
    fields: Vec<Field>,
    binding_fields: Vec<Field>,
    guests: Vec<Guest>,
    /// Spaces that it may be shared with.
    places: Vec<Choice>,
    data: Option<Data>,
    /// Why nothing can be said of its container.
    data_fault: Option<String>,
    events: Vec<events::Line>,
}

impl Page {
    /// The broker's page of the instance, when it is one of the web.
    fn dashboard(&self) -> Option<&str> {
        let url = self.head.instance.dashboard_url.as_deref();
        url.filter(|url| fmt::is_web(url))
    }

    fn is_managed(&self) -> bool {
        self.head.instance.kind == "managed"
    }

    fn is_bindable(&self) -> bool {
        let offer = self.head.offer.as_ref();
        offer.is_none_or(|(_, plan)| plan.broker_catalog.features.bindable)
    }

    fn is_shareable(&self) -> bool {
        let offer = self.head.offer.as_ref();
        offer.is_some_and(|(offering, _)| offering.shareable)
    }

    /// Whether the broker can be asked for its parameters.
    fn is_retrievable(&self) -> bool {
        let offer = self.head.offer.as_ref();
        offer.is_some_and(|(offering, _)| offering.broker_catalog.features.instances_retrievable)
    }

    /// The version that it may be upgraded to.
    fn upgrade(&self) -> Option<&str> {
        let (_, plan) = self.head.offer.as_ref()?;
        let version = plan.maintenance_info.version.as_deref()?;
        (self.head.instance.upgrade_available == Some(true)).then_some(version)
    }
}

async fn page(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let head = Head::load(&visitor, &guid).await?;
    let api = &visitor.api;
    let guid = &head.instance.guid;
    let bindings = format!(
        "/v3/service_credential_bindings?service_instance_guids={guid}&include=app&order_by=created_at"
    );
    let events =
        format!("/v3/audit_events?target_guids={guid}&order_by=-created_at&per_page={EVENTS}");
    let apps = format!("/v3/apps?space_guids={}&order_by=name", head.space.guid);
    let (bindings, events, apps) = tokio::try_join!(
        api.all::<Binding>(&bindings, 1),
        api.list::<Event>(&events),
        api.all::<Named>(&apps, 1),
    )?;
    let mut free = apps.resources;
    free.retain(|app| {
        let mut all = bindings.resources.iter();
        all.all(|binding| binding.relationships.app.guid() != app.guid)
    });
    let (guests, places) = sharing(&visitor, &head).await?;
    let fields = head.offer.as_ref().map(|(_, plan)| {
        let schemas = &plan.schemas;
        (
            schema::fields(&schemas.service_instance.update.parameters),
            schema::fields(&schemas.service_binding.create.parameters),
        )
    });
    let (fields, binding_fields) = fields.unwrap_or_default();
    // The rest of the page is needed when Docker does not answer, too.
    let (data, data_fault) = match Data::load(&visitor, &head).await {
        Ok(data) => (data, None),
        Err(refused) => (None, Some(refused.text())),
    };
    show::page(&Page {
        frame: Frame::new(&visitor, "services").refreshed(if head.is_busy() { 2 } else { 10 }),
        bound: bound(&bindings),
        apps: free.into_iter().map(choice).collect(),
        plans: other_plans(&visitor, &head).await?,
        fields,
        binding_fields,
        guests,
        places,
        data,
        data_fault,
        events: events::lines(&events.resources),
        head,
    })
}

/// Bindings with the names of their apps.
fn bound(bindings: &List<Binding>) -> Vec<Bound> {
    let app_name = |guid: &str| {
        let mut all = bindings.included.apps.iter();
        all.find(|app| app.guid == guid).map(|app| app.name.clone())
    };
    let bound = |binding: &Binding| {
        let app = binding.relationships.app.guid();
        let (name, link) = if binding.kind == "app" {
            let name = app_name(app).unwrap_or_else(|| app.to_owned());
            (name, format!("/console/apps/{app}"))
        } else {
            (binding.name.clone().unwrap_or_default(), String::new())
        };
        Bound {
            binding: binding.clone(),
            name,
            link,
        }
    };
    bindings.resources.iter().map(bound).collect()
}

fn choice(named: Named) -> Choice {
    Choice {
        guid: named.guid,
        label: named.name,
    }
}

async fn other_plans(visitor: &Visitor, head: &Head) -> Result<Vec<Plan>, Refused> {
    let Some((offering, plan)) = &head.offer else {
        return Ok(Vec::new());
    };
    let path = format!(
        "/v3/service_plans?service_offering_guids={}&available=true",
        offering.guid
    );
    let mut plans = visitor.api.all::<Plan>(&path, 1).await?.resources;
    plans.retain(|one| one.guid != plan.guid);
    if !plan.broker_catalog.features.plan_updateable {
        plans.clear();
    }
    Ok(plans)
}

#[derive(serde::Deserialize)]
struct SharedSpaces {
    usage_summary: Vec<Usage>,
}

#[derive(serde::Deserialize)]
struct Usage {
    space: Named,
    bound_app_count: u64,
}

/// The spaces an instance is shared with, and those it may be shared with.
async fn sharing(visitor: &Visitor, head: &Head) -> Result<(Vec<Guest>, Vec<Choice>), Refused> {
    if head.instance.kind != "managed" || !head.may.develop {
        return Ok((Vec::new(), Vec::new()));
    }
    let path = format!(
        "/v3/service_instances/{}/relationships/shared_spaces/usage_summary",
        head.instance.guid
    );
    let api = &visitor.api;
    let (shared, all) = tokio::try_join!(api.find::<SharedSpaces>(&path), spaces(visitor))?;
    let shared = shared.map(|found| found.usage_summary).unwrap_or_default();
    let guest = |usage: &Usage| Guest {
        guid: usage.space.guid.clone(),
        name: all
            .iter()
            .find(|space| space.guid == usage.space.guid)
            .map_or_else(|| usage.space.guid.clone(), |space| space.label.clone()),
        bound: usage.bound_app_count,
    };
    let guests: Vec<Guest> = shared.iter().map(guest).collect();
    let mut places = develops(visitor).await?;
    places.retain(|space| {
        space.guid != head.space.guid && guests.iter().all(|guest| guest.guid != space.guid)
    });
    Ok((guests, places))
}
