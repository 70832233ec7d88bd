//! Takes over a changed configuration while the platform runs.
//!
//! What is read each time it is needed ([`Live`]) can change: who is told of alerts, drains for all
//! apps, the sizes of the caches, certificates. Everything else is wired at the start: it is named, and takes
//! effect with the next one. A configuration that is not valid changes nothing.

use anyhow::Context;

use super::parts::CoreServices;
use super::{certificates, open};
use crate::alerts::Alerts;
use crate::base::Live;
use crate::config::Config;
use crate::db::Db;
use crate::packages::Packages;
use crate::pki::Pki;
use crate::registry::Registry;
use crate::web;

/// Options whose change takes effect at once.
const AT_ONCE: &[&str] = &[
    "alert",
    "log-drain",
    "registry-cache",
    "package-cache",
    "tls-certificate",
];

/// What takes changes.
pub(super) struct Reloading {
    pub(super) config: Live<Config>,
    pub(super) db: Db,
    pub(super) alerts: Alerts,
    pub(super) log_drains: Live<Vec<String>>,
    pub(super) registry: Registry,
    pub(super) packages: Packages,
    pub(super) pki: Pki,
    pub(super) shown: Live<Vec<web::Setting>>,
}

/// What a reload did, by names of options.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// These have their new values.
    pub changed: Vec<&'static str>,
    /// These have theirs after the next start.
    pub at_the_next_start: Vec<&'static str>,
}

impl Reloading {
    pub(super) fn new(config: &Config, core: &CoreServices) -> Self {
        Self {
            config: Live::new(config.clone()),
            db: core.db.clone(),
            alerts: core.alerts.clone(),
            log_drains: core.log_drains.clone(),
            registry: core.registry.clone(),
            packages: core.packages.clone(),
            pki: core.pki.clone(),
            shown: Live::new(shown(config)),
        }
    }

    /// Takes over what can be taken over.
    pub(super) fn reload(&self, new: Config) -> anyhow::Result<Reloaded> {
        let old = self.config.get();
        let sinks = open::sinks(&new).context("option alert")?;
        // Their files may be other ones, even if the option is the same.
        certificates::use_own(&self.pki, &new)?;
        let reloaded = compare(&old, &new);
        let mut merged = (*old).clone();
        for name in &reloaded.changed {
            match new.origins.get(*name) {
                Some(origin) => merged.origins.insert((*name).to_owned(), *origin),
                None => merged.origins.remove(*name),
            };
        }
        merged.alerts = new.alerts;
        merged.log_drains = new.log_drains;
        merged.tls_certificates = new.tls_certificates;
        merged.registry_cache = new.registry_cache;
        if reloaded.changed.contains(&"package-cache") {
            merged.package_cache = new.package_cache;
        }
        self.alerts.set_sinks(sinks);
        self.log_drains.set(merged.log_drains.clone());
        self.registry.set_cache_limit(merged.registry_cache);
        self.packages.set_limit(merged.package_cache);
        self.shown.set(shown(&merged));
        self.config.set(merged);
        // Drains are compared again.
        self.db.wake();
        Ok(reloaded)
    }
}

/// Which options differ.
fn compare(old: &Config, new: &Config) -> Reloaded {
    let shown = old.settings().into_iter().zip(new.settings());
    let mut differing: Vec<&'static str> = shown
        .filter(|(old, new)| old.value != new.value)
        .map(|(old, _)| old.name)
        .collect();
    // Shown without what is secret in them.
    for (name, differs) in [
        ("alert", old.alerts != new.alerts),
        ("log-drain", old.log_drains != new.log_drains),
    ] {
        if differs && !differing.contains(&name) {
            differing.push(name);
        }
    }
    // Its listener is there or not from the start on.
    let switched = (old.package_cache == 0) != (new.package_cache == 0);
    let is_at_once =
        |name: &&'static str| AT_ONCE.contains(name) && !(*name == "package-cache" && switched);
    let (changed, at_the_next_start) = differing.into_iter().partition(is_at_once);
    Reloaded {
        changed,
        at_the_next_start,
    }
}

/// The configuration as the console shows it.
fn shown(config: &Config) -> Vec<web::Setting> {
    let settings = config.settings().into_iter();
    settings
        .map(|one| web::Setting {
            name: one.name,
            value: one.text(),
            origin: one.origin.word(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;

    #[test]
    fn options_that_are_wired_at_the_start_wait_for_the_next_one() {
        let config = |options: Options| options.resolve().expect("valid");
        let old = config(Options::default());
        assert_eq!(compare(&old, &old), Reloaded::default());
        let new = config(Options {
            domain: Some("other.example".into()),
            package_cache: Some("0".into()),
            registry_cache: Some("1G".into()),
            alert: Some(vec!["exec:/bin/true".into()]),
            ..Options::default()
        });
        let found = compare(&old, &new);
        assert_eq!(found.changed, ["registry-cache", "alert"]);
        assert_eq!(found.at_the_next_start, ["domain", "package-cache"]);
    }

    #[test]
    fn a_changed_secret_is_a_change() {
        let config = |password: &str| {
            let url = format!("smtp://u:{password}@mail.example:25?to=a@b.example");
            let options = Options {
                alert: Some(vec![url]),
                ..Options::default()
            };
            options.resolve().expect("valid")
        };
        let found = compare(&config("one"), &config("two"));
        assert_eq!(found.changed, ["alert"]);
    }
}
