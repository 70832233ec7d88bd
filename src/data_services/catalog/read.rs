//! From YAML to a catalog.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use super::check::{self, CatalogError};
use super::{Catalog, ImageRecipe, Offering, Plan};
use crate::base::yaml::{self, Node};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    #[serde(default)]
    images: BTreeMap<String, ImageRecipe>,
    #[serde(default)]
    offerings: Vec<WrittenOffering>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOffering {
    name: String,
    id: String,
    description: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    spec: Value,
    plans: Vec<WrittenPlan>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPlan {
    name: String,
    id: String,
    description: String,
    #[serde(default = "yes")]
    free: bool,
    #[serde(default)]
    spec: Value,
}

fn yes() -> bool {
    true
}

/// Reads a catalog that may use further images.
pub(super) fn read_over(
    text: &str,
    further: &BTreeMap<String, ImageRecipe>,
) -> Result<Catalog, CatalogError> {
    let document = yaml::read(text).map_err(|error| CatalogError::at(error.line, error))?;
    let written: Written = parse(document.clone().into_json(), &document)?;
    if written.version != 1 {
        return Err(CatalogError::at(document.line, "version has to be 1"));
    }
    let offerings = document.get("offerings");
    let mut catalog = Catalog {
        images: written.images,
        offerings: Vec::new(),
    };
    for (number, offering) in written.offerings.into_iter().enumerate() {
        let node = offerings
            .and_then(|all| all.item(number))
            .unwrap_or(&document);
        catalog.offerings.push(whole(offering, node)?);
    }
    let own = catalog.images.clone();
    let known = further
        .iter()
        .map(|(name, image)| (name.clone(), image.clone()));
    catalog.images = known.chain(own).collect();
    check::check(&catalog, &document)?;
    Ok(catalog)
}

fn whole(offering: WrittenOffering, node: &Node) -> Result<Offering, CatalogError> {
    let mut plans = Vec::new();
    for (number, plan) in offering.plans.into_iter().enumerate() {
        let own = node.get("plans").and_then(|all| all.item(number));
        let own = own.and_then(|plan| plan.get("spec"));
        // What a plan changes is looked for there first.
        let place = own.or_else(|| node.get("spec")).unwrap_or(node);
        let spec = parse_at(
            merged(offering.spec.clone(), plan.spec),
            &[own, node.get("spec")],
            place,
        )?;
        plans.push(Plan {
            name: plan.name,
            id: plan.id,
            description: plan.description,
            free: plan.free,
            spec,
        });
    }
    Ok(Offering {
        name: offering.name,
        id: offering.id,
        description: offering.description,
        tags: offering.tags,
        metadata: offering.metadata,
        plans,
    })
}

/// Objects are merged key by key; anything else replaces.
fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (base, Value::Null) => base,
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let old = base.remove(&key).unwrap_or(Value::Null);
                base.insert(key, merged(old, value));
            }
            Value::Object(base)
        }
        (_, over) => over,
    }
}

fn parse<T: DeserializeOwned>(value: Value, node: &Node) -> Result<T, CatalogError> {
    parse_at(value, &[Some(node)], node)
}

/// Parses; an error is placed at the node it is about, in the first of `nodes` that has it.
fn parse_at<T: DeserializeOwned>(
    value: Value,
    nodes: &[Option<&Node>],
    place: &Node,
) -> Result<T, CatalogError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let found = nodes
            .iter()
            .flatten()
            .find_map(|node| line_of(node, error.path()));
        let path = error.path().to_string();
        let what = error.into_inner();
        let text = if path == "." {
            what.to_string()
        } else {
            format!("{path}: {what}")
        };
        CatalogError::at(found.unwrap_or(place.line), text)
    })
}

/// The line of the last part of a path; `None` when the file has no such place.
fn line_of(node: &Node, path: &Path) -> Option<usize> {
    let mut node = node;
    let mut line = None;
    for segment in path {
        let next = match segment {
            Segment::Map { key } => node.get(key),
            Segment::Seq { index } => node.item(*index),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(next) = next else { break };
        node = next;
        line = Some(node.line);
    }
    line
}
