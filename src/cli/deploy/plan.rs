//! What a file of services wants, and what has to change for it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::base::yaml;

/// The offering of services that only name an image, and its plan.
const IMAGE: (&str, &str) = ("container", "image");
const DEFAULT_PLAN: &str = "small";

/// A service as the file has it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Wanted {
    pub(in crate::cli) name: String,
    pub(in crate::cli) offering: String,
    pub(in crate::cli) plan: String,
    pub(in crate::cli) parameters: Map<String, Value>,
}

/// A service as it is.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) guid: String,
    pub(in crate::cli) offering: String,
    pub(in crate::cli) plan: String,
    /// The names of the parameters that a file wanted last, each with a digest of its value; `None` = no
    /// file did.
    pub(in crate::cli) applied: Option<BTreeMap<String, String>>,
    /// What its broker says; `None` = it tells nothing.
    pub(in crate::cli) parameters: Option<Map<String, Value>>,
    /// How its last operation ended.
    pub(in crate::cli) state: State,
}

/// How the last operation of a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum State {
    /// It works.
    Succeeded,
    /// It was never made.
    NotMade,
    /// Something is done with it.
    Busy,
}

/// What is kept of a value that was wanted: it may be a secret.
pub(in crate::cli) fn digest(value: &Value) -> String {
    hex::encode(Sha256::digest(value.to_string().as_bytes()))[..16].to_owned()
}

/// What has to be done for one service.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) enum Change {
    Create,
    /// Parameters that differ; null takes one back. A plan, if it differs.
    Update {
        guid: String,
        parameters: Map<String, Value>,
        plan: Option<String>,
    },
    Nothing,
    Delete {
        guid: String,
    },
}

/// Reads a file: `services`, each with a `name`; everything besides `offering` and `plan` is a
/// parameter.
pub(in crate::cli) fn read(text: &str) -> anyhow::Result<Vec<Wanted>> {
    let document = yaml::read(text)?;
    let line = document.line;
    let Value::Object(mut file) = document.into_json() else {
        bail!("line {line}: the file has to be a map with the key services");
    };
    let services = file
        .remove("services")
        .context("the key services is missing")?;
    if let Some(key) = file.keys().next() {
        bail!("unknown key {key}: there is only services");
    }
    let Value::Array(services) = services else {
        bail!("services has to be a list");
    };
    let mut wanted = Vec::new();
    let mut names = BTreeSet::new();
    for service in services {
        let one = wanted_of(service)?;
        if !names.insert(one.name.clone()) {
            bail!("the service {} is there twice", one.name);
        }
        wanted.push(one);
    }
    in_order(wanted)
}

/// One service of a file.
pub(in crate::cli) fn wanted_of(service: Value) -> anyhow::Result<Wanted> {
    let Value::Object(mut all) = service else {
        bail!("a service has to be a map");
    };
    let mut text = |key: &str| match all.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => bail!("{key} has to be a text"),
    };
    let name = text("name")?.context("a service has no name")?;
    let of = || format!("service {name}");
    let (offering, plan) = (
        text("offering").with_context(of)?,
        text("plan").with_context(of)?,
    );
    let (offering, default) = match offering {
        Some(offering) => (offering, DEFAULT_PLAN),
        None if all.contains_key("image") => (IMAGE.0.to_owned(), IMAGE.1),
        None => bail!("service {name}: it needs an offering or an image"),
    };
    Ok(Wanted {
        name,
        offering,
        plan: plan.unwrap_or_else(|| default.to_owned()),
        parameters: all,
    })
}

fn dependencies(wanted: &Wanted) -> impl Iterator<Item = &str> {
    let all = wanted
        .parameters
        .get("depends_on")
        .and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str)
}

/// Services after those that they depend on; otherwise as in the file.
pub(in crate::cli) fn in_order(mut waiting: Vec<Wanted>) -> anyhow::Result<Vec<Wanted>> {
    let mut ordered: Vec<Wanted> = Vec::new();
    while !waiting.is_empty() {
        let names: BTreeSet<String> = waiting.iter().map(|one| one.name.clone()).collect();
        let is_next = |one: &Wanted| !dependencies(one).any(|name| names.contains(name));
        let Some(next) = waiting.iter().position(is_next) else {
            let names: Vec<String> = names.into_iter().collect();
            bail!(
                "these services depend on each other in a circle: {}",
                names.join(", ")
            );
        };
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}

/// What has to change for each service, in the order in which it is done.
pub(in crate::cli) fn plan(
    wanted: &[Wanted],
    found: &BTreeMap<String, Found>,
    prunes: bool,
) -> anyhow::Result<Vec<(String, Change)>> {
    let mut changes = Vec::new();
    for one in wanted {
        let change = match found.get(&one.name) {
            None => Change::Create,
            // One that could not be made is replaced.
            Some(found) if found.state == State::NotMade => Change::Create,
            Some(found) if found.state == State::Busy => {
                bail!("something is done with the service {} right now", one.name)
            }
            Some(found) => update(one, found)?,
        };
        changes.push((one.name.clone(), change));
    }
    let is_wanted = |name: &str| wanted.iter().any(|one| one.name == name);
    let surplus = found
        .iter()
        .filter(|(name, found)| found.applied.is_some() && !is_wanted(name));
    for (name, found) in surplus.filter(|_| prunes) {
        let guid = found.guid.clone();
        changes.push((name.clone(), Change::Delete { guid }));
    }
    Ok(changes)
}

fn update(wanted: &Wanted, found: &Found) -> anyhow::Result<Change> {
    if wanted.offering != found.offering {
        bail!(
            "the service {} is of the offering {}, the file wants {}: delete it first",
            wanted.name,
            found.offering,
            wanted.offering
        );
    }
    let mut parameters = Map::new();
    let differs = |key: &String, value: &Value| match (&found.parameters, &found.applied) {
        (Some(told), _) => told.get(key) != Some(value),
        (None, Some(applied)) => applied.get(key) != Some(&digest(value)),
        (None, None) => true,
    };
    for (key, value) in &wanted.parameters {
        if differs(key, value) {
            parameters.insert(key.clone(), value.clone());
        }
    }
    // What the file wanted before and does not any more is taken back; other parameters are others'.
    let is_there = |key: &String| match &found.parameters {
        Some(told) => told.contains_key(key),
        None => true,
    };
    for key in found.applied.iter().flat_map(BTreeMap::keys) {
        if !wanted.parameters.contains_key(key) && is_there(key) {
            parameters.insert(key.clone(), Value::Null);
        }
    }
    let plan = (wanted.plan != found.plan).then(|| wanted.plan.clone());
    if parameters.is_empty() && plan.is_none() {
        return Ok(Change::Nothing);
    }
    Ok(Change::Update {
        guid: found.guid.clone(),
        parameters,
        plan,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn services_come_after_what_they_depend_on() {
        let text = "services:\n- name: web\n  image: a/web:1\n  depends_on: [db]\n- name: db\n  offering: postgresql\n";
        let read = read(text).expect("valid");
        let shown: Vec<_> = { read.iter() }
            .map(|one| (one.name.as_str(), one.offering.as_str(), one.plan.as_str()))
            .collect();
        assert_eq!(
            shown,
            [("db", "postgresql", "small"), ("web", "container", "image")]
        );
        assert_eq!(
            Value::Object(read[1].parameters.clone()),
            json!({ "image": "a/web:1", "depends_on": ["db"] })
        );
    }

    #[test]
    fn files_that_say_nothing_sensible_are_refused() {
        for (text, fault) in [
            ("- a", "has to be a map"),
            ("service: []", "the key services is missing"),
            ("services: []\nmore: 1", "unknown key more"),
            ("services:\n- image: x", "a service has no name"),
            ("services:\n- name: a", "it needs an offering or an image"),
            (
                "services:\n- {name: a, image: x}\n- {name: a, image: y}",
                "is there twice",
            ),
            (
                "services:\n- {name: a, image: x, depends_on: [b]}\n- {name: b, image: x, depends_on: [a]}",
                "in a circle: a, b",
            ),
        ] {
            let error = format!("{:#}", read(text).expect_err("refused"));
            assert!(error.contains(fault), "{error}");
        }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let found = Found {
            guid: "g".to_owned(),
            offering: "container".to_owned(),
            plan: "image".to_owned(),
            applied: Some(
                ["image", "volume", "env"]
                    .map(|key| (key.to_owned(), String::new()))
                    .into(),
            ),
            state: State::Succeeded,
            // The image's port came from the image.
            parameters: Some(map(
                json!({ "image": "x:1", "volume": "/data", "env": {}, "ports": { "main": 80 } }),
            )),
        };
        let wanted = |parameters: Value| Wanted {
            name: "a".to_owned(),
            offering: "container".to_owned(),
            plan: "image".to_owned(),
            parameters: map(parameters),
        };
        let same = wanted(json!({ "image": "x:1", "volume": "/data", "env": {} }));
        assert_eq!(update(&same, &found).expect("fits"), Change::Nothing);
        let other = wanted(json!({ "image": "x:2", "volume": "/data" }));
        let Change::Update { parameters, .. } = update(&other, &found).expect("fits") else {
            panic!("it differs");
        };
        assert_eq!(
            Value::Object(parameters),
            json!({ "image": "x:2", "env": null })
        );
        let all = BTreeMap::from([("a".to_owned(), found)]);
        assert_eq!(plan(&[], &all, false).expect("fits"), []);
        let pruned = plan(&[], &all, true).expect("fits");
        assert_eq!(
            pruned,
            [(
                "a".to_owned(),
                Change::Delete {
                    guid: "g".to_owned()
                }
            )]
        );
    }
}
