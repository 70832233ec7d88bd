//! The catalog of data services: YAML with images, offerings and plans.
//!
//! A plan's `spec` is merged over that of its offering, and is complete after that. What is not known,
//! missing or contradictory is an error with its place in the file ([`CatalogError`]), and so is a
//! template that cannot be parsed. `images/services/README.md` describes the keys.

mod check;
mod hook;
mod own_image;
mod parameter;
mod read;
mod schema;
mod size;
mod spec;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use check::CatalogError;
pub use hook::{Action, Hook, Input};
pub use own_image::with_image;
pub use parameter::{Applies, Parameter};
pub use schema::{ADMIN, ROTATE_ADMIN, binding_fault};
pub use size::Size;
pub use spec::{
    Backup, Credentials, Health, Limits, OwnImage, OwnImageRules, Port, Signals, Spec, Storage,
};

/// The catalog in this binary.
pub const BUILT_IN: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/images/services/catalog.yml"
));

/// A catalog.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Recipes by name.
    pub images: BTreeMap<String, ImageRecipe>,
    /// Offerings, in the order of the file.
    pub offerings: Vec<Offering>,
}

/// How an image is built on the Debian base.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecipe {
    /// Debian packages.
    pub packages: Vec<String>,
    /// Shell lines that run after their installation.
    #[serde(default)]
    pub run: Vec<String>,
}

/// An offering.
#[derive(Debug, Clone)]
pub struct Offering {
    /// Its name.
    pub name: String,
    /// Its id, the same for ever.
    pub id: String,
    /// One sentence.
    pub description: String,
    /// Tags, by which apps find a service.
    pub tags: Vec<String>,
    /// Further metadata.
    pub metadata: Map<String, Value>,
    /// Its plans.
    pub plans: Vec<Plan>,
}

/// A plan.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its id, the same for ever.
    pub id: String,
    /// One sentence.
    pub description: String,
    /// Whether it costs nothing.
    pub free: bool,
    /// What an instance is.
    pub spec: Spec,
}

impl Catalog {
    /// Reads a catalog.
    pub fn read(text: &str) -> Result<Self, CatalogError> {
        read::read_over(text, &BTreeMap::new())
    }

    /// This catalog with another one, which may use its images, and whose offerings replace those
    /// with the same id or name.
    pub fn extended(mut self, text: &str) -> Result<Self, CatalogError> {
        let other = read::read_over(text, &self.images)?;
        self.images.extend(other.images);
        for offering in other.offerings {
            self.offerings
                .retain(|old| old.id != offering.id && old.name != offering.name);
            self.offerings.push(offering);
        }
        Ok(self)
    }

    /// An offering by its id.
    pub fn offering(&self, id: &str) -> Option<&Offering> {
        self.offerings.iter().find(|offering| offering.id == id)
    }

    /// A plan of an offering by their ids.
    pub fn plan(&self, offering: &str, plan: &str) -> Option<(&Offering, &Plan)> {
        let offering = self.offering(offering)?;
        let plan = offering.plans.iter().find(|found| found.id == plan)?;
        Some((offering, plan))
    }

    /// The catalog as the Open Service Broker API has it.
    pub fn as_osb(&self) -> Value {
        let services: Vec<Value> = self.offerings.iter().map(service).collect();
        json!({ "services": services })
    }
}

fn service(offering: &Offering) -> Value {
    json!({
        "name": offering.name,
        "id": offering.id,
        "description": offering.description,
        "bindable": true,
        "plan_updateable": true,
        "instances_retrievable": true,
        "bindings_retrievable": true,
        "allow_context_updates": true,
        "tags": offering.tags,
        "metadata": offering.metadata,
        "plans": offering.plans.iter().map(plan).collect::<Vec<_>>(),
    })
}

fn plan(plan: &Plan) -> Value {
    let schema = schema::of_instance(&plan.spec);
    json!({
        "name": plan.name,
        "id": plan.id,
        "description": plan.description,
        "free": plan.free,
        "bindable": true,
        "maximum_polling_duration": super::LONGEST_OPERATION.as_secs(),
        "maintenance_info": { "version": plan.spec.version },
        "schemas": {
            "service_instance": { "create": { "parameters": schema }, "update": { "parameters": schema } },
            "service_binding": { "create": { "parameters": schema::of_binding() } },
        },
    })
}

#[cfg(test)]
mod tests;
