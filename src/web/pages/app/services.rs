//! Service instances that an app is bound to.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use super::{AppHead, TABS, named};
use crate::web::Console;
use crate::web::api::jobs::Progress;
use crate::web::api::models::Named;
use crate::web::api::services::{self, ServiceInstance};
use crate::web::api::{Api, Failure};
use crate::web::fmt;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    const PAGE: &str = "/console/apps/{guid}/services";
    Router::new()
        .route(PAGE, get(list))
        .route(&format!("{PAGE}/bind"), post(bind))
        .route(&format!("{PAGE}/{{binding}}/unbind"), post(unbind))
        .route(&format!("{PAGE}/{{binding}}/reveal"), post(reveal))
}

/// A binding of the app.
pub(super) struct Binding {
    guid: String,
    name: String,
    created_at: String,
    instance: String,
    pub(super) instance_name: String,
    state: String,
    tone: &'static str,
    description: String,
}

#[derive(Template)]
#[template(path = "console/app/services.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    bindings: Vec<Binding>,
    /// Instances of the space without a binding to the app.
    free: Vec<ServiceInstance>,
}

/// The bindings of an app, oldest first.
pub(super) async fn bindings(api: &Api, app: &str) -> Result<Vec<Binding>, Failure> {
    let path = format!(
        "/v3/service_credential_bindings?type=app&app_guids={app}&include=service_instance"
    );
    let found = api.all::<services::Binding>(&path, 1).await?;
    let instances = &found.included.service_instances;
    let name = |guid: &str| {
        let instance = instances.iter().find(|one| one.guid == guid);
        instance.map_or_else(|| guid.to_owned(), |one| one.name.clone())
    };
    let bindings = found.resources.into_iter().map(|one| {
        let last = one.last_operation;
        let (state, tone) = match &last {
            Some(last) if last.kind != "create" || last.state != "succeeded" => {
                (last.words(), last.tone())
            }
            _ => ("bound".to_owned(), "good"),
        };
        let instance = one.relationships.service_instance.guid();
        Binding {
            instance_name: name(instance),
            instance: instance.to_owned(),
            name: one.name.unwrap_or_default(),
            guid: one.guid,
            created_at: one.created_at,
            state,
            tone,
            description: last.map_or_else(String::new, |last| last.text().to_owned()),
        }
    });
    Ok(bindings.collect())
}

async fn list(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "services").await?;
    let api = &visitor.api;
    let path = format!(
        "/v3/service_instances?space_guids={}&order_by=name",
        head.space.guid
    );
    let (bindings, instances) = tokio::try_join!(
        bindings(api, &head.app.guid),
        api.all::<ServiceInstance>(&path, 1)
    )?;
    let mut free = instances.resources;
    free.retain(|one| !bindings.iter().any(|binding| binding.instance == one.guid));
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        head,
        bindings,
        free,
    })
}

/// Binds an instance that exists, with parameters for its broker.
async fn bind(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let fields = &change.fields;
    let api = &change.visitor.api;
    let instance = fields.required("instance", "Service instance")?;
    let instance: Named = api
        .get(&format!("/v3/service_instances/{}", fmt::segment(instance)))
        .await?;
    let mut body = json!({ "type": "app", "relationships": {
        "app": { "data": { "guid": app.guid } },
        "service_instance": { "data": { "guid": instance.guid } },
    } });
    let mut options = String::new();
    if let Some(text) = fields.text("parameters") {
        let parameters: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            let text = format!("Parameters must be a JSON object: {error}");
            Refused::field("parameters", &text)
        })?;
        body["parameters"] = Value::Object(parameters);
        options = format!("{options} -c {}", fmt::word(text));
    }
    if let Some(name) = fields.text("name") {
        body["name"] = json!(name);
        options = format!("{options} --binding-name {}", fmt::word(name));
    }
    let reply = api.post("/v3/service_credential_bindings", body).await?;
    let text = match api.finish(&reply).await? {
        Progress::Done => format!(
            "{} is bound. The app gets its credentials when it restarts",
            instance.name
        ),
        Progress::GoesOn => format!("{} is being bound", instance.name),
    };
    let command = format!(
        "cf bind-service {} {}{options}",
        fmt::word(&app.name),
        fmt::word(&instance.name)
    );
    Ok(change.done(text, page(&app)).command(command))
}

fn page(app: &Named) -> String {
    format!("/console/apps/{}/services", app.guid)
}

/// A binding, when it is one of this app.
async fn binding_of(api: &Api, app: &Named, guid: &str) -> Result<(String, Named), Refused> {
    let path = format!("/v3/service_credential_bindings/{}", fmt::segment(guid));
    let binding: services::Binding = api.get(&path).await?;
    if binding.relationships.app.guid() != app.guid {
        return Err(Refused::not_found());
    }
    let instance = binding.relationships.service_instance.guid();
    let instance = api
        .get(&format!("/v3/service_instances/{instance}"))
        .await?;
    Ok((binding.guid, instance))
}

async fn unbind(
    Path((guid, binding)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let api = &change.visitor.api;
    let (binding, instance) = binding_of(api, &app, &binding).await?;
    let path = format!("/v3/service_credential_bindings/{binding}");
    let reply = api.delete(&path).await?;
    let text = match api.finish(&reply).await? {
        Progress::Done => format!("{} is unbound", instance.name),
        Progress::GoesOn => format!("{} is being unbound", instance.name),
    };
    let command = format!(
        "cf unbind-service {} {}",
        fmt::word(&app.name),
        fmt::word(&instance.name)
    );
    Ok(change.done(text, page(&app)).command(command))
}

/// The credentials of a binding, shown once.
async fn reveal(
    Path((guid, binding)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let api = &change.visitor.api;
    let (binding, _) = binding_of(api, &app, &binding).await?;
    let path = format!("/v3/service_credential_bindings/{binding}/details");
    let details: Value = api.get(&path).await?;
    let command = format!("cf env {}", fmt::word(&app.name));
    let outcome = change.done("Shown once", page(&app)).command(command);
    Ok(outcome.reveal(fmt::json(&details)))
}
