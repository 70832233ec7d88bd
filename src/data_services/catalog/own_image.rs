//! Services whose image the user chooses: what their parameters say becomes a [`Spec`].
//!
//! An image may declare its needs in labels (`cflite.port`, `cflite.storage`, `cflite.dump`,
//! `cflite.load`, `cflite.drain`), so that its users only have to name it. A parameter beats a label.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Plan;
use super::hook::{Action, Hook, Input};
use super::size::Size;
use super::spec::{Backup, OwnImage, OwnImageRules, Port, Spec, Storage};
use crate::docker::Image;

/// The parameters, of which the catalog has the schemas.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    image: String,
    tag: String,
    entrypoint: Option<Vec<String>>,
    command: Vec<String>,
    env: BTreeMap<String, String>,
    ports: BTreeMap<String, u16>,
    volume: String,
    user: String,
    stop_signal: String,
    health: Vec<String>,
    drain: Vec<String>,
    dump: Vec<String>,
    load: Vec<String>,
    credentials: BTreeMap<String, String>,
    cpus: Option<f64>,
    memory: Option<String>,
    storage: Option<String>,
}

static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[a-z0-9]+(?:[._:/-]+[a-zA-Z0-9]+)*(?:@sha256:[0-9a-f]{64})?$").ok()
});
/// Users' templates only name variables: a loop could be made to run for ever.
static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\{\{ *[a-z_]+(?:\.[a-z0-9_]+)* *(?:\| *(?:url|json|shell) *)?\}\}").ok()
});
static VARIABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[A-Za-z_][A-Za-z0-9_]*$").ok());
/// Of an image's name.
const LONGEST_NAME: usize = 255;
/// Ports of one instance.
const MOST_PORTS: usize = 10;

impl Plan {
    /// The plan with what an instance's parameters choose. `Err` says which parameter is at fault.
    pub fn chosen(&self, parameters: &Map<String, Value>) -> Result<Cow<'_, Self>, String> {
        let Some(rules) = &self.spec.own_image else {
            return Ok(Cow::Borrowed(self));
        };
        let choice: Choice = serde_json::from_value(Value::Object(parameters.clone()))
            .map_err(|error| format!("the parameters cannot be read: {error}"))?;
        choice.check(rules)?;
        let mut plan = self.clone();
        choice.apply(&mut plan.spec);
        Ok(Cow::Owned(plan))
    }
}

impl Choice {
    fn reference(&self) -> String {
        let last = self.image.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) {
            self.image.clone()
        } else if self.tag.is_empty() {
            format!("{}:latest", self.image)
        } else {
            format!("{}:{}", self.image, self.tag)
        }
    }

    fn check(&self, rules: &OwnImageRules) -> Result<(), String> {
        if self.image.is_empty() {
            return Err("parameter image is missing: the image to run, such as redis:7".to_owned());
        }
        let reference = self.reference();
        let is_name = |name: &str| NAME.as_ref().is_some_and(|valid| valid.is_match(name));
        if reference.len() > LONGEST_NAME || !is_name(&reference) {
            return Err(format!(
                "parameter image: {reference:?} is not the name of an image"
            ));
        }
        let name = without_tag(&reference);
        if is_private(name) {
            return Err(format!(
                "parameter image: {name} cannot be run as a service"
            ));
        }
        if !rules.allow.iter().any(|pattern| matches(pattern, name)) {
            return Err(format!(
                "parameter image: {name} is not allowed here; allowed are {}",
                rules.allow.join(", ")
            ));
        }
        within("memory", self.memory.as_deref(), rules.most_memory)?;
        within("storage", self.storage.as_deref(), rules.most_storage)?;
        if self.cpus.is_some_and(|cpus| !(0.01..=64.0).contains(&cpus)) {
            return Err("parameter cpus has to be between 0.01 and 64".to_owned());
        }
        self.check_ports()?;
        if !self.volume.is_empty() && (!self.volume.starts_with('/') || self.volume.len() < 2) {
            return Err("parameter volume has to be an absolute path other than /".to_owned());
        }
        if self.dump.is_empty() != self.load.is_empty() {
            return Err("parameters dump and load belong together".to_owned());
        }
        self.check_templates()
    }

    fn check_ports(&self) -> Result<(), String> {
        if self.ports.len() > MOST_PORTS {
            return Err(format!("parameter ports has more than {MOST_PORTS} ports"));
        }
        if !self.ports.is_empty() && !self.ports.contains_key("main") {
            return Err("parameter ports has no main".to_owned());
        }
        match self.ports.values().find(|port| **port == 0) {
            Some(_) => Err("parameter ports: 0 is not a port".to_owned()),
            None => Ok(()),
        }
    }

    fn check_templates(&self) -> Result<(), String> {
        let is_variable = |name: &str| VARIABLE.as_ref().is_some_and(|valid| valid.is_match(name));
        if let Some(name) = self.env.keys().find(|name| !is_variable(name)) {
            return Err(format!(
                "parameter env: {name:?} is not the name of a variable"
            ));
        }
        let words = [&self.health, &self.drain, &self.dump, &self.load];
        let texts = self.env.values().chain(self.credentials.values());
        for text in texts.chain(words.into_iter().flatten()) {
            if !is_plain(text) {
                return Err(format!(
                    "{text:?} has a template other than names in braces, such as {{{{ port.main }}}}"
                ));
            }
        }
        Ok(())
    }

    fn apply(self, spec: &mut Spec) {
        spec.own = Some(OwnImage {
            reference: self.reference(),
            entrypoint: self.entrypoint.filter(|words| !words.is_empty()),
            command: self.command,
            user: Some(self.user).filter(|user| !user.is_empty()),
        });
        spec.environment = self.env;
        let ports = self.ports.into_iter();
        spec.ports = ports.map(|(name, port)| (name, Port { port })).collect();
        let size = spec.storage.as_ref().map(|storage| storage.size);
        spec.storage = size
            .filter(|_| !self.volume.is_empty())
            .map(|size| Storage {
                path: self.volume,
                size,
            });
        if !self.stop_signal.is_empty() {
            spec.signals.stop.signal = self.stop_signal;
        }
        if !self.health.is_empty() {
            spec.health.ready = command(self.health, Input::Empty);
        }
        if !self.drain.is_empty() {
            spec.signals.drain = vec![command(self.drain, Input::Empty)];
        }
        if !self.dump.is_empty() {
            spec.backup = Some(Backup {
                dump: command(self.dump, Input::Empty),
                load: vec![command(self.load, Input::Dump)],
                undo: true,
                extension: "dump".to_owned(),
            });
        }
        if !self.credentials.is_empty() {
            spec.credentials.template = self.credentials;
        }
        if let Some(cpus) = self.cpus {
            spec.limits.cpus = cpus;
        }
    }
}

/// Whether a template only names variables.
pub(super) fn is_plain(text: &str) -> bool {
    let rest = PLACE.as_ref().map(|place| place.replace_all(text, ""));
    rest.is_some_and(|rest| !["{{", "{%", "{#"].iter().any(|open| rest.contains(open)))
}

fn command(command: Vec<String>, input: Input) -> Hook {
    let user = None;
    Hook {
        action: Action::Exec {
            command,
            user,
            input,
            expect: None,
        },
    }
}

fn within(name: &str, chosen: Option<&str>, most: Size) -> Result<(), String> {
    let size = chosen.and_then(Size::parse);
    match size.filter(|size| *size > most) {
        Some(_) => Err(format!(
            "parameter {name}: at most {} MB are allowed here",
            most.megabytes()
        )),
        None => Ok(()),
    }
}

/// Whether images are the platform's or somebody's alone: those that are named by digests, those of
/// services and of stacks, and droplets, whose repositories are the only ones of this machine's registry
/// without a folder.
fn is_private(name: &str) -> bool {
    let of_registry = name.split_once('/').is_some_and(|(host, repository)| {
        let host = host.split(':').next().unwrap_or(host);
        matches!(host, "localhost" | "127.0.0.1") && !repository.contains('/')
    });
    let own = ["cflite/service-", "cflite/cflinuxfs4"];
    of_registry || name == "sha256" || own.iter().any(|prefix| name.starts_with(prefix))
}

/// The name in a reference: a colon before the last slash belongs to a port.
fn without_tag(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    match name[slash..].find(':') {
        Some(colon) => &name[..slash + colon],
        None => name,
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    loop {
        if matches(rest, text) {
            return true;
        }
        let mut characters = text.chars();
        if characters.next().is_none() {
            return false;
        }
        text = characters.as_str();
    }
}

/// Parameters, completed by what the image says of itself.
pub fn with_image(mut parameters: Map<String, Value>, image: &Image) -> Map<String, Value> {
    let mut absent = |name: &str, value: Option<Value>| {
        let is_given = parameters.get(name).is_some_and(|given| !is_empty(given));
        if let Some(value) = value.filter(|_| !is_given) {
            parameters.insert(name.to_owned(), value);
        }
    };
    let label = |name: &str| image.labels.get(&format!("cflite.{name}"));
    let port = label("port").and_then(|port| port.parse::<u16>().ok());
    absent("ports", ports(port, &image.exposed_ports));
    absent("volume", label("storage").map(|path| path.as_str().into()));
    for name in ["drain", "dump", "load"] {
        absent(name, label(name).map(|text| words(text)));
    }
    parameters
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The first port is the service's; the others are named by their numbers.
fn ports(labelled: Option<u16>, exposed: &[u16]) -> Option<Value> {
    let main = labelled.or_else(|| exposed.first().copied())?;
    let others = exposed.iter().filter(|port| **port != main);
    let others = others
        .take(MOST_PORTS - 1)
        .map(|port| (format!("p{port}"), json!(port)));
    let all: Map<String, Value> = others.chain([("main".to_owned(), json!(main))]).collect();
    Some(all.into())
}

/// Words as a JSON array, or a line for the shell.
fn words(text: &str) -> Value {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => words.into(),
        Err(_) => json!(["sh", "-c", text]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_services::catalog::{BUILT_IN, Catalog};

    fn plan() -> Plan {
        let catalog = Catalog::read(BUILT_IN).expect("the built-in catalog");
        let all = catalog.offerings.into_iter();
        let mut own = all.filter(|offering| offering.name == "container");
        own.next()
            .and_then(|offering| offering.plans.into_iter().next())
            .expect("a plan")
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn parameters_become_the_container() {
        let plan = plan();
        let parameters = map(json!({
            "image": "localhost:5000/team/cache", "tag": "7", "command": ["serve"], "ports": { "main": 6379 },
            "volume": "/data", "env": { "PASSWORD": "{{ secret.password }}" },
            "credentials": { "uri": "cache://x:{{ secret.password | url }}@{{ host }}:{{ port.main }}" },
            "dump": ["save"], "load": ["restore"], "cpus": 0.25,
        }));
        let chosen = plan.chosen(&parameters).expect("valid");
        let own = chosen.spec.own.as_ref().expect("an own image");
        assert_eq!(own.reference, "localhost:5000/team/cache:7");
        assert_eq!(chosen.spec.ports["main"].port, 6379);
        assert_eq!(
            chosen.spec.storage.as_ref().map(|s| s.path.as_str()),
            Some("/data")
        );
        assert_eq!(chosen.spec.limits.cpu_limit(), 250);
        assert!(chosen.spec.backup.is_some());
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        let mut plan = plan();
        if let Some(rules) = &mut plan.spec.own_image {
            rules.allow = vec!["cflite/*".to_owned(), "registry.local/*/tool".to_owned()];
        }
        for (parameters, fault) in [
            (json!({}), "parameter image is missing"),
            (
                json!({ "image": "redis" }),
                "redis is not allowed here; allowed are cflite/*",
            ),
            (
                json!({ "image": "registry.local/a/other:1" }),
                "is not allowed here",
            ),
            (
                json!({ "image": "cflite/x; rm" }),
                "is not the name of an image",
            ),
            (
                json!({ "image": "sha256:3f" }),
                "cannot be run as a service",
            ),
            (
                json!({ "image": "127.0.0.1:5000/0b5e:latest" }),
                "cannot be run as a service",
            ),
            (
                json!({ "image": "cflite/x", "memory": "900g" }),
                "parameter memory: at most",
            ),
            (
                json!({ "image": "cflite/x", "volume": "/" }),
                "an absolute path other than /",
            ),
            (
                json!({ "image": "cflite/x", "ports": { "web": 80 } }),
                "ports has no main",
            ),
            (
                json!({ "image": "cflite/x", "dump": ["d"] }),
                "belong together",
            ),
            (
                json!({ "image": "cflite/x", "env": { "A=B": "" } }),
                "is not the name of a variable",
            ),
            (
                json!({ "image": "cflite/x", "env": { "A": "{% for x in bindings %}{% endfor %}" } }),
                "a template other",
            ),
            (
                json!({ "image": "cflite/x", "env": { "A": "{{ 'a' * 1000000 }}" } }),
                "a template other",
            ),
        ] {
            let found = plan.chosen(&map(parameters.clone())).map(|_| ());
            let error = found.expect_err("refused");
            assert!(error.contains(fault), "{parameters}: {error}");
        }
        for allowed in ["cflite/x", "registry.local/a/b/tool:1.2"] {
            let parameters = map(json!({ "image": allowed }));
            plan.chosen(&parameters).expect("allowed");
        }
    }

    #[test]
    fn an_image_tells_its_needs() {
        let image = Image {
            id: "sha256:0".to_owned(),
            tags: Vec::new(),
            digests: Vec::new(),
            labels: [
                ("cflite.storage", "/data"),
                ("cflite.dump", "cat /data/x"),
                ("cflite.load", r#"["load"]"#),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            size: 0,
            diff_ids: Vec::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            environment: Vec::new(),
            user: String::new(),
            working_dir: String::new(),
            exposed_ports: vec![80, 443],
        };
        let completed = with_image(
            map(json!({ "image": "x", "volume": "/own", "ports": {} })),
            &image,
        );
        let expected = json!({
            "image": "x", "volume": "/own", "ports": { "main": 80, "p443": 443 },
            "dump": ["sh", "-c", "cat /data/x"], "load": ["load"],
        });
        assert_eq!(Value::Object(completed), expected);
    }
}
