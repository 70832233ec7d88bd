//! Making a space as its manifest says, in the caller's transactions: first the apps that are
//! missing, then everything else about each of them.

use rand::seq::IndexedRandom;
use serde_json::json;

use crate::base::yaml;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::actions::routes::{NewRoute, RouteContext};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::apps::{App, LifecycleType};
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::destinations::{NewDestination, Protocol};
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::model::routes::Route;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::apps::{CreateApp, UpdateApp};
use crate::cloud_controller::payload::manifests::AppManifest;
use crate::cloud_controller::payload::manifests::processes::RequestedProcess;
use crate::cloud_controller::payload::manifests::routes::RequestedRoute;
use crate::cloud_controller::payload::processes::ScaleProcess;
use crate::cloud_controller::payload::route_options::OptionsChange;
use crate::cloud_controller::payload::routes::RequestedPort;
use crate::cloud_controller::permits::MayWrite;
use crate::cloud_controller::{actions, model};
use crate::db::{Vault, WriteTx};

/// Why all this is done, for audit events.
const CAUSE: Cause = Cause::Manifest;

/// What applying needs besides the transaction.
pub(crate) struct Applying<'a> {
    pub may: &'a MayWrite,
    pub caller: &'a Caller,
    pub vault: &'a Vault,
    pub space: &'a Space,
    pub system_domain: &'a str,
    pub default_stack: &'a str,
}

impl Applying<'_> {
    /// Finds or makes the app, and writes that the manifest was applied.
    pub(crate) fn prepare(&self, tx: &WriteTx<'_>, manifest: &AppManifest) -> Result<App> {
        let labelled = |error: Error| named(&manifest.name, error);
        let app = match model::apps::find_by_name(tx, &self.space.guid, &manifest.name)? {
            Some(app) => app,
            None => self.create(tx, manifest).map_err(labelled)?,
        };
        let docker = app.lifecycle.kind == LifecycleType::Docker;
        let refusal = match manifest.lifecycle.kind {
            _ if docker && manifest.lifecycle.buildpacks.is_some() => {
                Some("Buildpacks cannot be configured for a docker lifecycle app.")
            }
            Some(LifecycleType::Docker) if !docker => {
                Some("Docker cannot be configured for a buildpack lifecycle app.")
            }
            _ => None,
        };
        if let Some(text) = refusal {
            return Err(labelled(Error::unprocessable(text)));
        }
        let yaml = yaml::write(&json!({ "applications": [manifest.given] }));
        let data = json!({ "request": { "manifest": yaml } });
        actions::apps::record(tx, self.may, "audit.app.apply_manifest", &app, &data)?;
        Ok(app)
    }

    fn create(&self, tx: &WriteTx<'_>, manifest: &AppManifest) -> Result<App> {
        let wanted = CreateApp {
            name: manifest.name.clone(),
            space: self.space.guid.clone(),
            lifecycle: manifest.lifecycle.clone(),
            environment: None,
            metadata: manifest.metadata.clone(),
            request: json!({ "name": manifest.name }),
        };
        actions::apps::create(tx, self.may, self.vault, wanted, self.default_stack)
    }

    /// Makes an app as its manifest says.
    pub(crate) fn apply(&self, tx: &WriteTx<'_>, app: App, manifest: &AppManifest) -> Result<()> {
        self.apply_to(tx, app, manifest)
            .map_err(|error| named(&manifest.name, error))
    }

    fn apply_to(&self, tx: &WriteTx<'_>, mut app: App, manifest: &AppManifest) -> Result<()> {
        let may = self.may;
        // What is switched off makes room for what is switched on.
        let (on, off): (Vec<_>, Vec<_>) =
            manifest.features.iter().copied().partition(|(_, on)| *on);
        for (feature, on) in off.into_iter().chain(on) {
            app = actions::apps::set_feature(tx, may, app, feature, on)?;
        }
        for requested in &manifest.processes {
            self.apply_process(tx, &app, requested)?;
        }
        for sidecar in &manifest.sidecars {
            actions::sidecars::put(tx, may, &app, sidecar.clone())?;
        }
        let change = UpdateApp {
            name: None,
            lifecycle: manifest.lifecycle.clone(),
            metadata: manifest.metadata.clone(),
            request: json!({}),
        };
        let app = actions::apps::update(tx, may, app, change, self.default_stack, CAUSE)?;
        let app = actions::apps::set_credentials(tx, may, self.vault, app, &manifest.lifecycle)?;
        self.apply_routes(tx, &app, manifest)?;
        if let Some(environment) = &manifest.environment {
            let (change, app) = (environment.clone(), app.clone());
            actions::apps::update_environment(tx, may, self.vault, app, change, CAUSE)?;
        }
        Ok(())
    }

    fn apply_process(
        &self,
        tx: &WriteTx<'_>,
        app: &App,
        requested: &RequestedProcess,
    ) -> Result<()> {
        let found = model::processes::find_of_type(tx, &app.guid, &requested.kind)?;
        let mut process = match found {
            Some(process) => process,
            None => actions::processes::create(tx, self.may, app, &requested.kind, CAUSE)?,
        };
        if let Some(update) = &requested.update {
            let change = update.clone();
            process = actions::processes::update(tx, self.may, app, process, change, CAUSE)?;
        }
        if let Some(scaling) = requested.scaling {
            let wanted = ScaleProcess {
                scaling,
                request: RequestedProcess::scaling_request(&scaling),
            };
            actions::processes::scale(tx, self.may, app, process, wanted, CAUSE)?;
        }
        Ok(())
    }

    fn apply_routes(&self, tx: &WriteTx<'_>, app: &App, manifest: &AppManifest) -> Result<()> {
        let requested = &manifest.routes;
        let existing = model::routes::of_app(tx, &app.guid)?;
        if requested.none {
            return self.unmap_all(tx, app, &existing);
        }
        if let Some(listed) = &requested.listed {
            return self.map_all(tx, app, listed);
        }
        if !existing.is_empty() || !(requested.random || requested.default) {
            return Ok(());
        }
        let domain = model::domains::default_of(tx, &self.space.organization_guid)?
            .ok_or_else(|| Error::unprocessable("No default domains available"))?;
        if requested.default {
            check_host(&app.name)?;
        }
        let host = if requested.random {
            format!("{}-{}", app.name, random_words())
        } else {
            app.name.clone()
        };
        self.map_all(tx, app, &[RequestedRoute::derived(&host, &domain.name)])
    }

    fn unmap_all(&self, tx: &WriteTx<'_>, app: &App, existing: &[Route]) -> Result<()> {
        for route in existing {
            for destination in model::destinations::of_route(tx, &route.guid)? {
                if destination.key.app_guid == app.guid {
                    actions::destinations::unmap(tx, self.may, route, &destination, CAUSE)?;
                }
            }
        }
        Ok(())
    }

    fn map_all(&self, tx: &WriteTx<'_>, app: &App, requested: &[RequestedRoute]) -> Result<()> {
        for route in requested {
            let place = place_of(tx, route)?.ok_or_else(|| {
                Error::unprocessable(format!("No domains exist for route {}", route.text))
            })?;
            self.map(tx, app, route, place)
                .map_err(|error| prefixed(&format!("For route '{}': ", route.text), error))?;
        }
        Ok(())
    }

    fn map(
        &self,
        tx: &WriteTx<'_>,
        app: &App,
        requested: &RequestedRoute,
        place: Place,
    ) -> Result<()> {
        let mut new = NewRoute::at(self.space, &place.domain, &place.host, &requested.path);
        new.port = RequestedPort::Exactly(requested.port);
        new.options = OptionsChange::of(requested.options.clone());
        let context = RouteContext {
            system_domain: self.system_domain,
            cause: CAUSE,
        };
        let route = actions::routes::find_or_create(tx, self.may, self.caller, new, context)?;
        let mapped = model::destinations::of_route(tx, &route.guid)?
            .into_iter()
            .find(|destination| destination.key.app_guid == app.guid);
        let protocol = requested.protocol.as_deref().and_then(Protocol::parse);
        match (mapped, protocol) {
            (None, protocol) => {
                let wanted = NewDestination::web(app.guid.clone(), protocol);
                actions::destinations::map(tx, self.may, &route, &[wanted], CAUSE)
            }
            (Some(destination), Some(protocol)) if destination.protocol != protocol => {
                actions::destinations::set_protocol(tx, self.may, &route, destination, protocol)
                    .map(drop)
            }
            (Some(_), _) => Ok(()),
        }
    }
}

/// Host and domain of a requested route.
struct Place {
    host: String,
    domain: Domain,
}

/// The first domain there is decides, also one that may not be used.
fn place_of(tx: &WriteTx<'_>, requested: &RequestedRoute) -> Result<Option<Place>> {
    for (host, name) in requested.candidates() {
        if let Some(domain) = model::domains::find_by_name(tx, name)? {
            let host = host.to_owned();
            return Ok(Some(Place { host, domain }));
        }
    }
    Ok(None)
}

/// The default route's host is the app's name: it has to be one.
fn check_host(name: &str) -> Result<()> {
    const PREFIX: &str = "Failed to create default route from app name:";
    if name.chars().count() > 63 {
        return Err(Error::unprocessable(format!(
            "{PREFIX} Host cannot exceed 63 characters"
        )));
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    {
        return Err(Error::unprocessable(format!(
            "{PREFIX} Host must be either \"*\" or contain only alphanumeric characters, \"_\", or \"-\""
        )));
    }
    Ok(())
}

fn random_words() -> String {
    const FIRST: &[&str] = &[
        "brave", "bright", "calm", "clever", "eager", "fast", "gentle", "happy", "jolly", "kind",
        "lively", "lucky", "noble", "proud", "quick", "quiet", "sunny", "swift", "tidy", "wise",
    ];
    const SECOND: &[&str] = &[
        "badger", "bear", "beaver", "crane", "deer", "falcon", "fox", "gecko", "hare", "heron",
        "lynx", "marten", "otter", "owl", "puffin", "raven", "seal", "stork", "swan", "wolf",
    ];
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
    let mut random = rand::rng();
    let word = |words: &[&str], random: &mut rand::rngs::ThreadRng| {
        words.choose(random).copied().unwrap_or_default().to_owned()
    };
    let tail: String = (0..2)
        .filter_map(|_| {
            LETTERS
                .choose(&mut random)
                .map(|letter| char::from(*letter))
        })
        .collect();
    format!(
        "{}-{}-{tail}",
        word(FIRST, &mut random),
        word(SECOND, &mut random)
    )
}

fn named(app: &str, error: Error) -> Error {
    prefixed(&format!("For application '{app}': "), error)
}

fn prefixed(prefix: &str, error: Error) -> Error {
    error.prefixed(prefix)
}
