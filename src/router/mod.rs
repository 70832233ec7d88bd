//! The HTTP router: chooses the instance for a request and proxies request and response; and, in
//! [`tcp`], the ports of TCP routes.
//!
//! Flow: the front door receives a request from a listener ([`crate::net::server`]) → platform host
//! names go to the platform's own `axum::Router`, everything else is looked up in the [`Table`] →
//! [`headers`] are rewritten → to a route service first, if the route has one ([`route_service`]) →
//! an attempt per endpoint until one succeeds → bodies stream both ways → the access line.
//!
//! Invariants: the table is replaced as a whole, never modified; bodies are never buffered
//! completely; no request waits for a lock, and only those that come before the first table is known
//! ([`Router::hold`]) wait at all; the router knows nothing of Cloud Controller: the
//! caller of [`Router::swap`] decides what is routable. Omitted on purpose: TTLs and pruning by
//! age, since the table is updated in-process when an instance ends.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderName;
use tokio::sync::watch;

use route_service::{ServiceTls, Signer};

pub mod access_log;
mod alone;
mod backend;
mod backend_body;
mod choice;
mod client_certificate;
mod client_side;
pub mod endpoint;
mod error;
mod exchange;
mod failure;
mod finished;
mod forward;
mod front_door;
mod hashing;
mod headers;
mod instance_stream;
mod local;
mod pool;
mod proxy;
mod request_body;
mod response_body;
mod route_service;
mod service_url;
mod sticky;
mod table;
pub mod tcp;
#[cfg(test)]
mod testing;
mod trace;
mod upgrade;

pub use client_certificate::ForwardedClientCert;
pub use endpoint::{Endpoint, EndpointState, Protocol};
pub use finished::{AccessLog, Finished};
pub use front_door::{FrontDoor, LocalFrontDoor, Screen};
pub use hashing::Hashing;
pub use response_body::ResponseBody;
pub use service_url::RouteService;
pub use table::{LoadBalancing, Pool, Route, RouteOptions, Table};
pub use tcp::{TcpFigures, TcpRoute, TcpRouter, TcpSettings};

/// The limits of an exchange.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Timeout for connecting to an instance.
    pub dial_timeout: std::time::Duration,
    /// Timeout for a whole exchange, except tunnels.
    pub request_timeout: std::time::Duration,
    /// How long an unused connection to an instance is kept.
    pub backend_idle: std::time::Duration,
    /// How long a request waits for the first table.
    pub first_table: std::time::Duration,
    /// Attempts on different endpoints for one request.
    pub attempts: usize,
    /// Requests that wait for an instance's response at a time; more are refused. `None` = any.
    pub instance_requests: Option<u32>,
    /// Which requests have no access line.
    pub unlogged: Option<Unlogged>,
    /// What apps learn of clients' certificates.
    pub forwarded_client_cert: ForwardedClientCert,
    /// The system domain, lower case; route services below it are apps of the platform.
    pub domain: String,
    /// The platform's certificate authority, as PEM: route services elsewhere may have its
    /// certificates.
    pub authority: String,
}

/// Requests of the platform itself, which have no access line.
#[derive(Clone)]
pub struct Unlogged {
    /// The header that marks them. Apps do not get it.
    pub header: HeaderName,
    /// Its value for a host (lower case, without port), which only the platform knows.
    pub value: Arc<dyn Fn(&str) -> String + Send + Sync>,
}

impl fmt::Debug for Unlogged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unlogged")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        use std::time::Duration;
        Self {
            dial_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(900),
            backend_idle: Duration::from_secs(90),
            first_table: Duration::from_secs(5),
            attempts: 3,
            instance_requests: Some(500),
            unlogged: None,
            forwarded_client_cert: ForwardedClientCert::default(),
            domain: String::new(),
            authority: String::new(),
        }
    }
}

/// The current route table with the settings and the access log; clones share them.
#[derive(Clone)]
pub struct Router {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    table: ArcSwap<Table>,
    access_log: Arc<dyn AccessLog>,
    signer: Signer,
    service_tls: ServiceTls,
    is_open: watch::Sender<bool>,
}

impl Router {
    /// A router without routes.
    pub fn new(settings: Settings, access_log: Arc<dyn AccessLog>) -> Self {
        let service_tls = ServiceTls::new(settings.authority.clone());
        Self {
            shared: Arc::new(Shared {
                settings,
                signer: Signer::new(),
                service_tls,
                table: ArcSwap::default(),
                access_log,
                is_open: watch::Sender::new(true),
            }),
        }
    }

    /// Lets requests wait until [`Router::open`], for those that come while the routes of apps that
    /// run are still being found. Each waits for [`Settings::first_table`] at most.
    pub fn hold(&self) {
        self.shared.is_open.send_replace(false);
    }

    /// The table has all routes.
    pub fn open(&self) {
        self.shared
            .is_open
            .send_if_modified(|is_open| !std::mem::replace(is_open, true));
    }

    /// Waits until requests can be routed; false when that took too long.
    async fn opened(&self) -> bool {
        let mut is_open = self.shared.is_open.subscribe();
        let opened = is_open.wait_for(|is_open| *is_open);
        let limit = self.shared.settings.first_table;
        matches!(tokio::time::timeout(limit, opened).await, Ok(Ok(_)))
    }

    /// Replaces the table for all new requests. Exchanges in progress complete on their endpoints;
    /// the marks of endpoints in both tables are kept. No new connection is opened to an endpoint
    /// that is not in `table`, even for requests in progress.
    pub fn swap(&self, table: Table) {
        let old = self.table();
        let table = Arc::new(table.adopt(&old));
        self.shared.table.store(table.clone());
        old.withdraw_missing(&table);
    }

    /// The current table.
    pub fn table(&self) -> Arc<Table> {
        self.shared.table.load_full()
    }

    fn load(&self) -> arc_swap::Guard<Arc<Table>> {
        self.shared.table.load()
    }

    /// Limits.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    fn signer(&self) -> &Signer {
        &self.shared.signer
    }

    fn service_tls(&self) -> &ServiceTls {
        &self.shared.service_tls
    }

    /// The sink of access lines.
    pub fn access_log(&self) -> &Arc<dyn AccessLog> {
        &self.shared.access_log
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("endpoints", &self.table().endpoint_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
