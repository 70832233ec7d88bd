//! The configuration in force as people see it: each option, its value without secrets, and where
//! that comes from.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::{Value, json};

use super::{Config, Options};
use crate::alerts::Sink;
use crate::base::Secret;
use crate::logs::showable_drain;
use crate::net::ports::PortChoice;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag,
    /// A variable `CFLITE_…`.
    Environment,
    /// `cflite.toml`.
    File,
    /// Nobody set it.
    Default,
}

impl Origin {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// An option that is in force.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name: `http-port`.
    pub name: &'static str,
    /// Without secrets; null = none.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where options come from that are not defaults, by their names.
///
/// The command line has merged flags and variables: a value is taken for the variable's when there
/// is one.
pub(super) fn origins(
    given: &Options,
    file: &Options,
    has_variable: impl Fn(&str) -> bool,
) -> BTreeMap<String, Origin> {
    let names = |options: &Options| {
        let map = serde_json::to_value(options).unwrap_or_default();
        let map = map.as_object().cloned().unwrap_or_default();
        map.into_iter().filter(|(_, value)| !value.is_null())
    };
    let mut origins: BTreeMap<String, Origin> =
        names(file).map(|(name, _)| (name, Origin::File)).collect();
    for (name, _) in names(given) {
        let variable = format!("CFLITE_{}", name.to_uppercase().replace('-', "_"));
        let origin = if has_variable(&variable) {
            Origin::Environment
        } else {
            Origin::Flag
        };
        origins.insert(name, origin);
    }
    origins
}

impl Config {
    /// The options in force, in the order of `cflite up --help`.
    pub fn settings(&self) -> Vec<Setting> {
        let all = [
            ("data-dir", json!(self.data_dir)),
            ("domain", json!(self.domain)),
            ("bind", json!(self.bind)),
            ("http-port", json!(port(self.http_port))),
            ("https-port", json!(port(self.https_port))),
            ("ssh-port", json!(self.ssh_port.map(port))),
            ("ssh", json!(self.ssh_port.is_some())),
            ("dns-port", json!(port(self.dns_port))),
            ("registry-port", json!(self.registry_port)),
            ("tcp-ports", json!(self.tcp_ports.as_str())),
            ("docker-host", json!(self.docker_host)),
            ("admin-password-file", json!(self.admin_password_file)),
            ("app-log-revision", json!(self.app_log_revision)),
            ("registry-upstream", pairs(&self.registry_upstreams)),
            ("registry-mirror-port", json!(self.registry_mirror_port)),
            ("registry-cache", json!(exact(self.registry_cache))),
            ("package-cache", json!(exact(self.package_cache))),
            ("package-upstream", pairs(&self.package_upstreams)),
            ("ca-certificates", json!(self.ca_certificates)),
            ("data-services", json!(self.data_services)),
            ("stand-ins", json!(self.stand_ins)),
            ("stand-in", pairs(&self.stand_in_plans)),
            ("alert", alerts(&self.alerts)),
            ("log-drain", drains(&self.log_drains)),
            ("log-drain-blocked", json!(texts(&self.log_drain_blocked))),
            ("network-enforce", json!(self.network_enforce)),
            ("tls-certificate", json!(texts(&self.tls_certificates))),
            ("client-certificates", json!(self.client_certificates)),
            ("client-authorities", json!(self.client_authorities)),
            ("forwarded-client-cert", json!(self.forwarded_client_cert)),
            ("memory-capacity", json!(self.memory_capacity.to_string())),
            ("offline", json!(self.offline)),
            ("log-format", json!(self.log_format.as_str())),
        ];
        let setting = |(name, value)| Setting {
            name,
            value,
            origin: self.origins.get(name).copied().unwrap_or(Origin::Default),
        };
        all.into_iter().map(setting).collect()
    }
}

impl Setting {
    /// The value as text.
    pub fn text(&self) -> String {
        match &self.value {
            Value::Null => "(default)".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

fn pairs(named: &BTreeMap<String, impl Display>) -> Value {
    let all = named.iter();
    let all: Vec<String> = all.map(|(name, value)| format!("{name}={value}")).collect();
    if all.is_empty() {
        Value::Null
    } else {
        json!(all.join(","))
    }
}

/// Who is told, without passwords.
fn alerts(all: &[Secret<String>]) -> Value {
    let names: Vec<String> = all
        .iter()
        .map(|url| match Sink::parse(url.expose()) {
            Ok(sink) => sink.name(),
            Err(error) => format!("not valid: {error}"),
        })
        .collect();
    if names.is_empty() {
        Value::Null
    } else {
        json!(names.join(","))
    }
}

fn texts(all: &[impl ToString]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// Without what may be secret in them.
fn drains(urls: &[String]) -> Value {
    if urls.is_empty() {
        return Value::Null;
    }
    let shown: Vec<String> = urls.iter().map(|url| showable_drain(url)).collect();
    json!(shown.join(","))
}

fn port(choice: PortChoice) -> String {
    match choice {
        PortChoice::Exactly(port) => port.to_string(),
        PortChoice::Prefer(first, 0) => format!("{first}, else a free one"),
        PortChoice::Prefer(first, second) => format!("{first}, else {second}"),
    }
}

/// A size as options take it.
fn exact(size: u64) -> String {
    let units = [("T", 40), ("G", 30), ("M", 20), ("K", 10)];
    let mut fitting = units
        .iter()
        .filter(|(_, shift)| size.is_multiple_of(1 << shift));
    match fitting.next().filter(|_| size > 0) {
        Some((unit, shift)) => format!("{}{unit}", size >> shift),
        None => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Bytes;

    #[test]
    fn sizes_are_shown_as_options_take_them() {
        for (size, text) in [
            (0, "0"),
            (1023, "1023"),
            (1500 << 20, "1500M"),
            (20 << 30, "20G"),
            (2 << 40, "2T"),
        ] {
            assert_eq!(exact(size), text);
            let read = Bytes::parse_short(text).expect("a size");
            assert_eq!(u64::try_from(read.0), Ok(size));
        }
    }

    #[test]
    fn an_option_comes_from_the_first_that_sets_it() {
        let given = Options {
            domain: Some("a.example".into()),
            http_port: Some(9000),
            ..Options::default()
        };
        let file = Options {
            http_port: Some(8081),
            offline: Some(true),
            ..Options::default()
        };
        let origins = origins(&given, &file, |variable| variable == "CFLITE_DOMAIN");
        assert_eq!(origins["domain"], Origin::Environment);
        assert_eq!(origins["http-port"], Origin::Flag);
        assert_eq!(origins["offline"], Origin::File);
        assert!(!origins.contains_key("bind"));
    }

    #[test]
    fn every_option_is_shown_once_and_no_secret() {
        let options = Options {
            alert: Some(vec![
                "smtp://user:hunter2@mail.example:25?to=a@b.example".into(),
            ]),
            ..Options::default()
        };
        let settings = options.clone().resolve().expect("valid").settings();
        let known = serde_json::to_value(&options).expect("JSON");
        let mut known: Vec<&String> = known.as_object().expect("a map").keys().collect();
        let mut shown: Vec<&str> = settings.iter().map(|one| one.name).collect();
        known.sort();
        shown.sort_unstable();
        assert_eq!(shown, known);
        let text = format!("{settings:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
