//! What an app's processes find in their environment: the user's variables, what the platform adds,
//! the groups of the platform.
//!
//! The page holds names and no values. The names come from the app's manifest, because reading
//! `/env` is an audit event, and a page is read again after every change. Values are revealed by a
//! `POST` ([`reveal`]), which reads them from `/env` and so is audited.

mod edit;
mod reveal;

pub(super) use reveal::compare;

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::{AppHead, TABS};
use crate::base::yaml;
use crate::web::Console;
use crate::web::api::models::{Event, Reference};
use crate::web::api::{Api, Failure};
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    const PAGE: &str = "/console/apps/{guid}/env";
    Router::new()
        .route(PAGE, get(environment))
        .route(&format!("{PAGE}/set"), post(edit::set))
        .route(&format!("{PAGE}/unset"), post(edit::unset))
        .route(&format!("{PAGE}/replace"), post(edit::replace))
        .route(&format!("{PAGE}/reveal"), post(reveal::reveal))
}

/// Variables by their names.
#[derive(Deserialize)]
struct Variables {
    var: BTreeMap<String, Value>,
}

/// A change that acts with the next start.
struct Changed {
    at: String,
    by: String,
}

#[derive(Template)]
#[template(path = "console/app/environment.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    /// `None` when they are read with their values only.
    names: Option<Vec<String>>,
    /// Why the variables are not shown; empty when they are.
    hidden: String,
    changed: Option<Changed>,
    /// Names of the service instances in `VCAP_SERVICES`.
    services: Vec<String>,
    /// Names in the groups for running and for staging.
    running: Vec<String>,
    staging: Vec<String>,
}

impl Page {
    /// The address of a change on this page.
    fn at(&self, change: &str) -> String {
        format!("/console/apps/{}/env/{change}", self.head.app.guid)
    }
}

async fn environment(visitor: Visitor, Path(guid): Path<String>) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "env").await?;
    let api = &visitor.api;
    let hidden = why_hidden(&visitor, &head).await?;
    let names = if hidden.is_empty() {
        names(api, &head.app.guid).await?
    } else {
        None
    };
    let bindings = super::services::bindings(api, &head.app.guid);
    let (changed, bindings, running, staging) = tokio::try_join!(
        changed(api, &head),
        bindings,
        group(api, "running"),
        group(api, "staging"),
    )?;
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        head,
        names,
        hidden,
        changed,
        services: bindings.into_iter().map(|one| one.instance_name).collect(),
        running: running.var.into_keys().collect(),
        staging: staging.var.into_keys().collect(),
    })
}

/// Why a visitor does not read the variables of an app; empty when they may.
async fn why_hidden(visitor: &Visitor, head: &AppHead) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Flag {
        enabled: bool,
    }
    let claims = &visitor.session.claims;
    let sees_all = visitor.is_admin() || claims.has_scope("cloud_controller.admin_read_only");
    if !head.may.support && !sees_all {
        return Ok("Needs the role Space Developer or Space Supporter.".to_owned());
    }
    // The first binds everybody, the second not those who see all secrets.
    let flags: &[&str] = if sees_all {
        &["env_var_visibility"]
    } else {
        &["env_var_visibility", "space_developer_env_var_visibility"]
    };
    for name in flags {
        let path = format!("/v3/feature_flags/{name}");
        let flag: Flag = visitor.api.get(&path).await?;
        if !flag.enabled {
            return Ok(format!("The feature flag {name} of the platform is off."));
        }
    }
    Ok(String::new())
}

/// Names of the user's variables, without an audit event; `None` for whom the manifest is hidden.
async fn names(api: &Api, app: &str) -> Result<Option<Vec<String>>, Failure> {
    let Some(manifest) = super::manifest::read(api, app).await? else {
        return Ok(None);
    };
    let manifest = yaml::read(&manifest).map_err(|error| Failure::Internal(error.to_string()))?;
    let manifest = manifest.into_json();
    let variables = manifest.pointer("/applications/0/env");
    let variables = variables.and_then(Value::as_object);
    let names = variables.map(|all| all.keys().cloned().collect());
    Ok(Some(names.unwrap_or_default()))
}

/// A group of variables of the platform.
async fn group(api: &Api, name: &str) -> Result<Variables, Failure> {
    api.get(&format!("/v3/environment_variable_groups/{name}"))
        .await
}

/// The last change of the variables since the app started, as the audit events tell.
async fn changed(api: &Api, head: &AppHead) -> Result<Option<Changed>, Failure> {
    if head.app.state != "STARTED" {
        return Ok(None);
    }
    let path = format!(
        "/v3/audit_events?target_guids={}&types=audit.app.start,audit.app.restart,\
         audit.app.deployment.create,audit.app.update&order_by=-created_at&per_page=50",
        head.app.guid
    );
    let events = api.list::<Event>(&path).await?.resources;
    let since_start = events
        .iter()
        .take_while(|event| event.kind == "audit.app.update");
    let mut changes = since_start.filter(|event| {
        event
            .data
            .pointer("/request/environment_variables")
            .is_some()
    });
    Ok(changes.next().map(|event| Changed {
        at: event.created_at.clone(),
        by: event.actor.name.clone(),
    }))
}

/// The guid of the revision that runs; `None` without revisions.
async fn deployed(api: &Api, app: &str) -> Result<Option<String>, Failure> {
    let path = format!("/v3/apps/{app}/revisions/deployed?per_page=10");
    let deployed = api.list::<Reference>(&path).await?.resources;
    Ok(deployed
        .into_iter()
        .next_back()
        .map(|revision| revision.guid))
}
