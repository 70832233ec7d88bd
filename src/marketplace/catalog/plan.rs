//! The plans of an offering.

use serde_json::{Map, Value};

use super::check::{Fields, Presence, inspect};
use super::{Faults, Plan, schema};

const LONGEST_MAINTENANCE_INFO: usize = 2000;

/// Plans as far as they could be read.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub plans: Vec<Plan>,
    /// Ids and names.
    pub ids: Vec<(String, String)>,
}

/// Reads the plans of an offering. Each check is done only if those before it found nothing.
pub(super) fn read_all(fields: &mut Fields<'_>, service: &str) -> Plans {
    let given = fields.get("plans").cloned().unwrap_or_default();
    let all: Vec<Value> = match &given {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        _ => {
            fields.faults.add(format!(
                "Service plans list must be an array of hashes, but has value {}",
                inspect(&given)
            ));
            return Plans::default();
        }
    };
    if all.is_empty() {
        fields
            .faults
            .add("At least one plan is required".to_owned());
        return Plans::default();
    }
    if !all.iter().all(Value::is_object) {
        fields.faults.add(format!(
            "Service plans list must be an array of hashes, but has value {}",
            inspect(&given)
        ));
        return Plans::default();
    }
    let mut plans = Plans::default();
    for plan in all.iter().filter_map(Value::as_object) {
        let text = |name: &str| plan.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(id) = text("id") {
            plans.ids.push((id, text("name").unwrap_or_default()));
        }
        let mut faults = Faults::default();
        let read = read(plan, &mut faults);
        if !faults.is_empty() {
            let name = text("name").unwrap_or_default();
            fields.faults.nest(format!("Plan {name}"), faults);
        }
        plans.plans.push(read);
    }
    for id in duplicates(plans.ids.iter().map(|(id, _)| id)) {
        fields.faults.add(format!(
            "Plan ids must be unique. Service {service} already has a plan with id '{id}'"
        ));
    }
    for name in duplicates(plans.plans.iter().map(|plan| &plan.name)) {
        fields.faults.add(format!(
            "Plan names must be unique within a service. Service {service} already has a plan named {name}"
        ));
    }
    plans
}

fn duplicates<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let all: Vec<&String> = names.collect();
    let mut found: Vec<String> = Vec::new();
    for at in 1..all.len() {
        if all[..at].contains(&all[at]) && !found.contains(all[at]) {
            found.push(all[at].clone());
        }
    }
    found
}

fn read(given: &Map<String, Value>, faults: &mut Faults) -> Plan {
    let mut fields = Fields { given, faults };
    let id = fields.string("id", "Plan id", Presence::Required);
    let name = fields.string("name", "Plan name", Presence::Required);
    let description = fields.description("Plan description");
    let metadata = fields.object("metadata", "Plan metadata");
    let free = fields.boolean("free", "Plan free", Presence::Optional);
    let bindable = fields.boolean("bindable", "Plan bindable", Presence::Optional);
    let plan_updateable = fields.boolean("plan_updateable", "Plan updateable", Presence::Optional);
    let maximum = fields.integer("maximum_polling_duration", "Maximum polling duration");
    let maintenance_info = maintenance_info(&mut fields);
    let schemas = fields.object("schemas", "Plan schemas");
    let mut schema_faults = Faults::default();
    let schemas = schemas.map(|given| schema::read(&given, &mut schema_faults));
    if !schema_faults.is_empty() {
        fields.faults.nest("Schemas".to_owned(), schema_faults);
    }
    let [create, update, bind] = schemas.unwrap_or_default();
    Plan {
        id: id.unwrap_or_default(),
        name: name.unwrap_or_default(),
        description: description.unwrap_or_default(),
        free: free.unwrap_or(true),
        bindable,
        plan_updateable,
        maximum_polling_duration: maximum,
        maintenance_info,
        metadata,
        create_instance_schema: create,
        update_instance_schema: update,
        create_binding_schema: bind,
    }
}

fn maintenance_info(fields: &mut Fields<'_>) -> Option<Map<String, Value>> {
    let given = fields.object("maintenance_info", "Maintenance info")?;
    let mut own = Fields {
        given: &given,
        faults: fields.faults,
    };
    own.version("version", "Maintenance info version");
    own.string(
        "description",
        "Maintenance info description",
        Presence::Optional,
    );
    let length = Value::Object(given.clone()).to_string().chars().count();
    if length > LONGEST_MAINTENANCE_INFO {
        fields.faults.add(format!(
            "Maintenance info must serialize to {LONGEST_MAINTENANCE_INFO} characters or fewer in JSON, but \
             serializes to {length} characters"
        ));
    }
    let known = |key: &&String| !matches!(key.as_str(), "version" | "description");
    let odd: Vec<&str> = given.keys().filter(known).map(String::as_str).collect();
    if !odd.is_empty() {
        fields.faults.add(format!(
            "Maintenance info contains invalid key(s): {}",
            odd.join(", ")
        ));
    }
    Some(given)
}
