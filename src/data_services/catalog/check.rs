//! What has to hold for a catalog beyond its form.

use std::collections::BTreeSet;
use std::fmt;

use super::hook::{Action, Hook, Input};
use super::{Catalog, Offering, Spec};
use crate::base::yaml::Node;
use crate::data_services::template;

/// Why a catalog is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct CatalogError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl CatalogError {
    pub(super) fn at(line: usize, what: impl fmt::Display) -> Self {
        Self {
            line,
            what: what.to_string(),
        }
    }
}

pub(super) fn check(catalog: &Catalog, document: &Node) -> Result<(), CatalogError> {
    let mut names = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (number, offering) in catalog.offerings.iter().enumerate() {
        let node = document.get("offerings").and_then(|all| all.item(number));
        let line = node.map_or(1, |node| node.line);
        let fail =
            |what: String| CatalogError::at(line, format!("offering {}: {what}", offering.name));
        if !is_name(&offering.name) {
            return Err(fail("a name has only a-z, 0-9 and -".to_owned()));
        }
        if !names.insert(&offering.name) {
            return Err(fail("the name is used twice".to_owned()));
        }
        if offering.plans.is_empty() {
            return Err(fail("there are no plans".to_owned()));
        }
        check_plans(catalog, offering, &mut ids).map_err(fail)?;
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(allowed)
}

fn check_plans<'a>(
    catalog: &Catalog,
    offering: &'a Offering,
    ids: &mut BTreeSet<&'a str>,
) -> Result<(), String> {
    if !ids.insert(&offering.id) {
        return Err(format!("the id {} is used twice", offering.id));
    }
    let mut names = BTreeSet::new();
    for plan in &offering.plans {
        if !is_name(&plan.name) || !names.insert(&plan.name) {
            return Err(format!(
                "plan {}: a name is used once, with only a-z, 0-9 and -",
                plan.name
            ));
        }
        if !ids.insert(&plan.id) {
            return Err(format!(
                "plan {}: the id {} is used twice",
                plan.name, plan.id
            ));
        }
        check_spec(catalog, &plan.spec).map_err(|what| format!("plan {}: {what}", plan.name))?;
    }
    Ok(())
}

fn check_spec(catalog: &Catalog, spec: &Spec) -> Result<(), String> {
    check_image(catalog, spec)?;
    if !is_semantic_version(&spec.version) {
        return Err(format!("{} is not a semantic version", spec.version));
    }
    if !(0.01..=64.0).contains(&spec.limits.cpus) {
        return Err("cpus has to be between 0.01 and 64".to_owned());
    }
    if let Some(storage) = &spec.storage
        && (!storage.path.starts_with('/') || storage.path.len() < 2)
    {
        return Err(format!("{} is not an absolute path", storage.path));
    }
    for (name, parameter) in &spec.parameters {
        if let Some(fault) = parameter.schema.own_fault() {
            return Err(format!("parameter {name} {fault}"));
        }
        if let Some(fault) = parameter.schema.fault(&parameter.default) {
            return Err(format!("the default of parameter {name} {fault}"));
        }
    }
    check_texts(spec)?;
    check_hooks(spec)
}

/// An image comes from a recipe, with a script that starts it, or is the user's choice as it is.
fn check_image(catalog: &Catalog, spec: &Spec) -> Result<(), String> {
    if spec.own_image.is_some() {
        let has_none = spec.image.is_empty() && spec.entry.is_empty() && spec.ports.is_empty();
        return if has_none {
            Ok(())
        } else {
            Err("own_image excludes image, entry and ports: users choose them".to_owned())
        };
    }
    if !catalog.images.contains_key(&spec.image) {
        return Err(format!("there is no image {}", spec.image));
    }
    if spec.entry.is_empty() {
        return Err("entry is missing".to_owned());
    }
    if !spec.ports.contains_key("main") {
        return Err("ports has no main".to_owned());
    }
    Ok(())
}

fn check_texts(spec: &Spec) -> Result<(), String> {
    let variables = spec
        .environment
        .values()
        .chain(spec.hook_environment.values());
    let files = spec.files.values().chain([&spec.entry]);
    let mut texts = variables
        .chain(files)
        .chain(spec.credentials.template.values())
        .chain(&spec.dashboard);
    texts.try_for_each(|text| template::check(text))
}

fn check_hooks(spec: &Spec) -> Result<(), String> {
    let credentials = &spec.credentials;
    let of_users = credentials.bind.iter().chain(&credentials.unbind);
    let parameters = spec.parameters.values();
    let plain = of_users
        .chain(&credentials.init)
        .chain([&spec.health.ready])
        .chain(&spec.signals.drain)
        .chain(&spec.limits.live)
        .chain(parameters.flat_map(|parameter| &parameter.live))
        .chain(spec.backup.iter().map(|backup| &backup.dump));
    for hook in plain {
        check_hook(hook)?;
        if matches!(&hook.action, Action::Exec { input, .. } if *input == Input::Dump) {
            return Err("only hooks that load a backup have a dump as input".to_owned());
        }
    }
    let mut loads = spec.backup.iter().flat_map(|backup| &backup.load);
    loads.try_for_each(check_hook)
}

fn check_hook(hook: &Hook) -> Result<(), String> {
    match &hook.action {
        Action::Exec { command, input, .. } => {
            for word in command {
                template::check(word)?;
            }
            match input {
                Input::Text(text) => template::check(text),
                Input::Empty | Input::Dump => Ok(()),
            }
        }
        Action::Signal(name) if !name.starts_with("SIG") => Err(format!(
            "{name} is not the name of a signal, such as SIGHUP"
        )),
        Action::Signal(_) | Action::Connect(_) => Ok(()),
        Action::Write { body, .. } => template::check(body),
    }
}

/// `1.2.3`, with a pre-release and build metadata if there are any.
fn is_semantic_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    numbers.len() == 3 && numbers.iter().all(is_number)
}
