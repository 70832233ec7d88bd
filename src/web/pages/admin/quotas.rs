//! Quotas of organizations and of spaces.

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::fmt;
use crate::web::form::Fields;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::pages::orgs::Quota;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

const PAGE: &str = "/console/quotas";

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route(PAGE, get(page).post(create))
        .route("/console/quotas/{kind}/{guid}/update", post(update))
        .route("/console/quotas/{kind}/{guid}/delete", post(delete))
}

/// A quota of the list.
struct Row {
    quota: Quota,
    /// `org` or `space`.
    kind: &'static str,
    /// The organization of a space quota.
    organization: String,
    /// How many organizations or spaces have it.
    used_by: usize,
    may_change: bool,
}

/// One limit as a field.
struct Limit {
    key: &'static str,
    label: &'static str,
    value: String,
}

/// The limits: group and name in the API, label, flag of the cf CLI.
const LIMITS: &[(&str, &str, &str, &str)] = &[
    (
        "apps",
        "total_memory_in_mb",
        "Memory of all apps (MB)",
        "-m",
    ),
    (
        "apps",
        "per_process_memory_in_mb",
        "Memory of an instance (MB)",
        "-i",
    ),
    ("apps", "total_instances", "Instances", "-a"),
    ("apps", "per_app_tasks", "Running tasks of an app", ""),
    (
        "apps",
        "log_rate_limit_in_bytes_per_second",
        "Log rate (bytes/s)",
        "-l",
    ),
    ("services", "total_service_instances", "Services", "-s"),
    ("services", "total_service_keys", "Service keys", ""),
    ("routes", "total_routes", "Routes", "-r"),
    (
        "routes",
        "total_reserved_ports",
        "Ports of routes",
        "--reserved-route-ports",
    ),
    ("domains", "total_domains", "Domains", ""),
];

impl Row {
    /// The limits as fields.
    fn limits(&self) -> Vec<Limit> {
        limits(Some(&self.quota), self.kind)
    }

    fn plural(&self) -> &'static str {
        if self.kind == "org" { "org" } else { "space" }
    }
}

fn limits(quota: Option<&Quota>, kind: &str) -> Vec<Limit> {
    let of = |key: &str| {
        let quota = quota?;
        match key {
            "total_memory_in_mb" => quota.apps.total_memory_in_mb,
            "per_process_memory_in_mb" => quota.apps.per_process_memory_in_mb,
            "total_instances" => quota.apps.total_instances,
            "per_app_tasks" => quota.apps.per_app_tasks,
            "log_rate_limit_in_bytes_per_second" => quota.apps.log_rate_limit_in_bytes_per_second,
            "total_service_instances" => quota.services.total_service_instances,
            "total_service_keys" => quota.services.total_service_keys,
            "total_routes" => quota.routes.total_routes,
            "total_reserved_ports" => quota.routes.total_reserved_ports,
            _ => quota.domains.total_domains,
        }
    };
    let fitting = LIMITS.iter();
    let fitting = fitting.filter(|(group, ..)| kind == "org" || *group != "domains");
    fitting
        .map(|(_, key, label, _)| Limit {
            key,
            label,
            value: of(key).map(|value| value.to_string()).unwrap_or_default(),
        })
        .collect()
}

#[derive(Template)]
#[template(path = "console/admin/quotas.html")]
struct Page {
    frame: Frame,
    tab: &'static str,
    rows: Vec<Row>,
    /// Organizations that the visitor manages.
    managed: Vec<Named>,
    fresh: Vec<Limit>,
}

async fn page(visitor: Visitor) -> Result<Response, Refused> {
    let api = &visitor.api;
    let (of_organizations, of_spaces, organizations) = tokio::try_join!(
        api.all::<Quota>("/v3/organization_quotas?order_by=name", 1),
        api.all::<Quota>("/v3/space_quotas?order_by=name", 1),
        api.all::<Named>("/v3/organizations?order_by=name", 2),
    )?;
    let mut managed = Vec::new();
    for organization in &organizations.resources {
        if visitor.manages(&organization.guid).await? {
            managed.push(organization.clone());
        }
    }
    let mut rows = Vec::new();
    for quota in of_organizations.resources {
        rows.push(Row {
            used_by: quota.relationships.organizations.data.len(),
            quota,
            kind: "org",
            organization: String::new(),
            may_change: visitor.is_admin(),
        });
    }
    for quota in of_spaces.resources {
        let organization = quota.relationships.organization.guid();
        let mut all = organizations.resources.iter();
        rows.push(Row {
            may_change: managed.iter().any(|one| one.guid == organization),
            organization: all
                .find(|one| one.guid == organization)
                .map(|one| one.name.clone())
                .unwrap_or_default(),
            used_by: quota.relationships.spaces.data.len(),
            quota,
            kind: "space",
        });
    }
    show::page(&Page {
        frame: Frame::new(&visitor, "platform"),
        tab: "quotas",
        rows,
        managed,
        fresh: limits(None, "org"),
    })
}

/// The path of the API of a kind.
fn api_of(kind: &str) -> Result<&'static str, Refused> {
    match kind {
        "org" => Ok("/v3/organization_quotas"),
        "space" => Ok("/v3/space_quotas"),
        _ => Err(Refused::not_found()),
    }
}

/// What the form says, and the options of the command. An empty field is no limit.
fn body(fields: &Fields, kind: &str) -> Result<(Value, String), Refused> {
    let mut body = json!({ "name": fields.required("name", "Name")? });
    let mut options = String::new();
    for (group, key, label, flag) in LIMITS {
        if *group == "domains" && kind == "space" {
            continue;
        }
        let limit = fields.number(key, label)?;
        body[*group][*key] = json!(limit);
        if let Some(limit) = limit.filter(|_| !flag.is_empty()) {
            let unit = if key.ends_with("_in_mb") { "M" } else { "" };
            options = format!("{options} {flag} {limit}{unit}");
        }
    }
    let paid = fields.has("paid");
    body["services"]["paid_services_allowed"] = paid.into();
    if paid {
        options.push_str(" --allow-paid-service-plans");
    }
    Ok((body, options))
}

async fn create(change: Change) -> Result<Outcome, Refused> {
    let fields = &change.fields;
    let organization = fields.text("organization");
    let kind = if organization.is_some() {
        "space"
    } else {
        "org"
    };
    let (mut body, options) = body(fields, kind)?;
    let name = fields.required("name", "Name")?;
    if let Some(organization) = organization {
        body["relationships"] = json!({ "organization": { "data": { "guid": organization } } });
    }
    change.visitor.api.post(api_of(kind)?, body).await?;
    let command = format!("cf create-{kind}-quota {}{options}", fmt::word(name));
    Ok(change
        .done(format!("The quota {name} is there"), PAGE)
        .command(command))
}

async fn update(
    Path((kind, guid)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let path = format!("{}/{}", api_of(&kind)?, fmt::segment(&guid));
    let api = &change.visitor.api;
    let before: Named = api.get(&path).await?;
    let (body, options) = body(&change.fields, &kind)?;
    api.patch(&path, body).await?;
    let command = format!(
        "cf update-{kind}-quota {}{options}",
        fmt::word(&before.name)
    );
    Ok(change.done("The quota is changed", PAGE).command(command))
}

async fn delete(
    Path((kind, guid)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let path = format!("{}/{}", api_of(&kind)?, fmt::segment(&guid));
    let api = &change.visitor.api;
    let quota: Named = api.get(&path).await?;
    change.fields.typed(&quota.name, "the quota")?;
    let reply = api.delete(&path).await?;
    let progress = api.finish(&reply).await?;
    let command = format!("cf delete-{kind}-quota {} -f", fmt::word(&quota.name));
    Ok(change
        .done(progress.deleted(&format!("The quota {}", quota.name)), PAGE)
        .command(command))
}
