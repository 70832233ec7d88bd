//! A broker's catalog: read and checked with Cloud Controller's rules and texts; all faults are told at
//! once.
//!
//! Not checked here: what other catalogs and the stored one forbid.

mod check;
mod faults;
mod plan;
mod schema;
mod service;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use check::is_semantic_version;
pub use faults::Faults;

/// One offering of a catalog.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the catalog's")]
pub struct Service {
    /// The broker's id for it.
    pub id: String,
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Whether its instances can be bound, unless a plan says otherwise.
    pub bindable: bool,
    /// Whether instances can change to another plan, unless a plan says otherwise.
    pub plan_updateable: bool,
    /// Whether instances can be asked for.
    pub instances_retrievable: bool,
    /// Whether bindings can be asked for.
    pub bindings_retrievable: bool,
    /// Whether the broker wants to know of changes of names.
    pub allow_context_updates: bool,
    /// Tags.
    pub tags: Vec<String>,
    /// What it does for bindings.
    pub requires: Vec<String>,
    /// Whatever else.
    pub metadata: Option<Map<String, Value>>,
    /// Whether it wants an OAuth client for its dashboards.
    pub dashboard_client: Option<DashboardClient>,
    /// At least one.
    pub plans: Vec<Plan>,
}

/// The OAuth client of dashboards.
#[derive(Clone, PartialEq)]
pub struct DashboardClient {
    /// Client id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Where it may lead back to.
    pub redirect_uri: String,
}

impl std::fmt::Debug for DashboardClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DashboardClient {{ id: {:?} }}", self.id)
    }
}

/// One plan of an offering.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The broker's id for it.
    pub id: String,
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Whether it costs nothing.
    pub free: bool,
    /// `None` = as the offering says.
    pub bindable: Option<bool>,
    /// `None` = as the offering says.
    pub plan_updateable: Option<bool>,
    /// Seconds.
    pub maximum_polling_duration: Option<i64>,
    /// Version and description.
    pub maintenance_info: Option<Map<String, Value>>,
    /// Whatever else.
    pub metadata: Option<Map<String, Value>>,
    /// Of the parameters of new instances.
    pub create_instance_schema: Option<Value>,
    /// Of the parameters of changes.
    pub update_instance_schema: Option<Value>,
    /// Of the parameters of bindings.
    pub create_binding_schema: Option<Value>,
}

/// Reads the offerings of a catalog. The faults are those of the whole catalog.
pub fn read(catalog: &Map<String, Value>) -> Result<Vec<Service>, Faults> {
    let mut faults = Faults::default();
    let given = match catalog.get("services") {
        None => Vec::new(),
        Some(Value::Array(all)) => all.clone(),
        Some(_) => {
            faults.add("Service broker must provide at least one service".to_owned());
            return Err(faults);
        }
    };
    let drafts: Vec<service::Draft> = given.iter().map(service::Draft::read).collect();
    let services = drafts.iter().filter_map(|draft| draft.service.clone());
    let services: Vec<Service> = services.collect();
    for draft in &drafts {
        if !draft.faults.is_empty() {
            faults.nest(format!("Service {}", draft.name), draft.faults.clone());
        }
    }
    if drafts.is_empty() {
        faults.add("Service broker must provide at least one service".to_owned());
    }
    let ids: Vec<&Value> = given.iter().filter_map(|one| one.get("id")).collect();
    if has_duplicates(ids.into_iter().filter(|id| !id.is_null())) {
        faults.add("Service ids must be unique".to_owned());
    }
    if has_duplicates(
        given
            .iter()
            .map(|one| one.get("name").unwrap_or(&Value::Null)),
    ) {
        faults.add("Service names must be unique within a broker".to_owned());
    }
    plan_ids(&drafts, &mut faults);
    let clients = drafts.iter().filter_map(|draft| draft.client_id.clone());
    let clients: Vec<Value> = clients.map(Value::String).collect();
    if has_duplicates(clients.iter()) {
        faults.add("Service dashboard_client id must be unique".to_owned());
    }
    if faults.is_empty() {
        Ok(services)
    } else {
        Err(faults)
    }
}

/// Ids of plans are unique in the whole catalog.
fn plan_ids(drafts: &[service::Draft], faults: &mut Faults) {
    let mut seen: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for draft in drafts {
        for (id, plan) in &draft.plan_ids {
            if let Some((service, other)) = seen.get(id.as_str()) {
                faults.add(format!(
                    "Plan ids must be unique. Unable to register plan with id '{id}' (plan name '{plan}', service \
                     name '{}') because it uses the same id as another plan in the catalog (plan name '{other}', \
                     service name '{service}')",
                    draft.name
                ));
            }
            seen.insert(id, (&draft.name, plan));
        }
    }
}

fn has_duplicates<'a>(values: impl Iterator<Item = &'a Value>) -> bool {
    let all: Vec<&Value> = values.collect();
    (1..all.len()).any(|at| all[..at].contains(&all[at]))
}

#[cfg(test)]
mod tests;
