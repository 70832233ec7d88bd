//! The web console: what a developer does with the cf CLI, in a browser, below `/console` of every
//! origin of the platform.
//!
//! A page is made on the server: the handler asks the Cloud Controller's API as the user who is
//! signed in ([`api`]), in process, and renders a template of `web/templates/console`. So roles,
//! rules, errors and audit events are those of the API, and the console has no SQL besides that of
//! its sessions. Scripts (`web/assets`) add what needs no reload; reading works without them.
//!
//! Invariants:
//! - Apps share a site with the console and are taken for hostile: a request that changes something
//!   needs a session, a token of that session and exactly this origin ([`guard`]).
//! - A browser has the secret of its session and no token of the UAA ([`session`]).
//! - No page holds inline scripts or styles; the content security policy forbids them.

mod api;
mod assets;
mod chart;
mod events;
mod explain;
mod fmt;
mod form;
mod frame;
mod guard;
mod links;
mod live;
mod logs;
mod operators;
mod outcome;
mod pages;
mod recorder;
mod session;
mod show;
mod sign_in;
mod visitor;
mod when;

use std::path::PathBuf;
use std::sync::Arc;

pub use recorder::Recorder;

use axum::Router;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::base::{Clock, Live, Supervisor};
use crate::db::{Db, Vault};
use crate::logs::{LogAccess, Logs};
use crate::net::RequestBase;
use crate::router;
use crate::scheduler::Scheduler;
use crate::uaa::Uaa;

pub use operators::Operators;

/// What the console is made of.
pub struct Parts {
    /// Its sessions are rows.
    pub db: Db,
    /// Encrypts what a session holds.
    pub vault: Vault,
    /// Signs users in.
    pub uaa: Uaa,
    /// Drives pushes.
    pub supervisor: Supervisor,
    /// Clock of sessions.
    pub clock: Arc<dyn Clock>,
    /// The platform's API: the Cloud Controller, UAA, logs.
    pub api: Router,
    /// Lines and measurements of apps.
    pub logs: Logs,
    /// Who may read whose.
    pub log_access: Arc<dyn LogAccess>,
    /// What runs, and its files.
    pub scheduler: Scheduler,
    /// What API calls pushes made.
    pub recorder: Recorder,
    /// Distinguishes cookies of platforms that share a host.
    pub platform_id: String,
    /// The system domain.
    pub domain: String,
    /// What only operators may ask.
    pub operators: Operators,
    /// Whether there are data services.
    pub data_services: bool,
    /// The configuration in force.
    pub settings: Live<Vec<Setting>>,
    /// The file of the platform's own log.
    pub own_log: PathBuf,
    /// The folder for files on their way.
    pub spool: PathBuf,
    /// Decides which app answers.
    pub router: router::Router,
}

/// An option of the configuration in force, without secrets.
#[derive(Debug, Clone)]
pub struct Setting {
    /// `http-port`.
    pub name: &'static str,
    /// As text.
    pub value: String,
    /// `flag`, `environment`, `file` or `default`.
    pub origin: &'static str,
}

/// The console; cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// One refresh of tokens at a time.
    refreshing: tokio::sync::Mutex<()>,
    pushes: pages::push::Pushes,
}

impl Console {
    /// A console over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            refreshing: tokio::sync::Mutex::new(()),
            pushes: pages::push::Pushes::default(),
        }))
    }

    fn pushes(&self) -> &pages::push::Pushes {
        &self.0.pushes
    }

    fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// Its pages, all below `/console`, and what the command line asks.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/console/login", get(sign_in::start))
            .route("/console/callback", get(sign_in::finish))
            .route("/console/sign-out", post(sign_in::sign_out))
            .route("/console/live", get(live::changes))
            .route("/console/assets/{hash}/{name}", get(assets::serve))
            .route("/favicon.ico", get(assets::icon))
            .merge(pages::routes())
            .layer(middleware::from_fn(guard::guard))
            .merge(explain::route::routes())
            .with_state(self.clone())
    }
}

/// Sends a browser that asks for `console.<domain>` to the console.
pub fn screen(
    request: &http::Request<axum::body::Body>,
) -> Option<http::Response<axum::body::Body>> {
    if request.uri().path() != "/" {
        return None;
    }
    let base = request.extensions().get::<RequestBase>()?;
    if !base.host().starts_with("console.") {
        return None;
    }
    let location = [(http::header::LOCATION, "/console")];
    Some((http::StatusCode::SEE_OTHER, location).into_response())
}
