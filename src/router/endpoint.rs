//! An endpoint of an app instance, and its state in the router.
//!
//! A failed attempt makes an endpoint ineligible for [`INELIGIBLE`]; it stays in its pool, since
//! the scheduler, not the router, decides what runs. An endpoint that left the table is withdrawn
//! permanently: its address may soon belong to another app, so no request opens a connection to it
//! any more.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Notify;

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, InstanceGuid, ProcessGuid};

/// How long a failed endpoint is skipped.
pub const INELIGIBLE: Duration = Duration::from_secs(30);

/// The protocol of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 in clear text, by prior knowledge.
    Http2,
}

impl Protocol {
    /// The value of a destination's `protocol`.
    pub fn from_destination(text: &str) -> Self {
        match text {
            "http2" => Self::Http2,
            _ => Self::Http1,
        }
    }
}

/// The endpoint of an app instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address to connect to.
    pub address: SocketAddr,
    /// The app.
    pub app_guid: AppGuid,
    /// Its process.
    pub process_guid: ProcessGuid,
    /// The instance.
    pub instance_guid: InstanceGuid,
    /// The instance's index.
    pub index: u32,
    /// Its protocol.
    pub protocol: Protocol,
}

/// The identity of an endpoint.
pub(crate) type EndpointKey = (SocketAddr, InstanceGuid);

impl Endpoint {
    pub(crate) fn key(&self) -> EndpointKey {
        (self.address, self.instance_guid.clone())
    }
}

/// An endpoint with its state.
#[derive(Debug)]
pub struct EndpointState {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Unique in this process; never given to another endpoint.
    pub(crate) number: u64,
    pub(crate) headers: EndpointHeaders,
    failed_until: AtomicI64,
    in_flight: AtomicU32,
    withdrawn: AtomicBool,
    /// Wakes tasks that dial.
    withdrawal: Notify,
}

/// Header values that are the same on every request to an endpoint.
#[derive(Debug)]
pub(crate) struct EndpointHeaders {
    pub(crate) application: HeaderValue,
    pub(crate) instance: HeaderValue,
    pub(crate) index: HeaderValue,
    /// The address as text, for access lines.
    pub(crate) address: String,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

impl EndpointState {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let instance = if endpoint.instance_guid.as_str().is_empty() {
            endpoint.address.to_string()
        } else {
            endpoint.instance_guid.as_str().to_owned()
        };
        let headers = EndpointHeaders {
            application: header_value(endpoint.app_guid.as_str()),
            instance: header_value(&instance),
            index: HeaderValue::from(endpoint.index),
            address: endpoint.address.to_string(),
        };
        Self {
            endpoint,
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            headers,
            failed_until: AtomicI64::new(i64::MIN),
            in_flight: AtomicU32::new(0),
            withdrawn: AtomicBool::new(false),
            withdrawal: Notify::new(),
        }
    }

    /// The endpoint left the route table: no new connections, and pending dials are aborted.
    pub(crate) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
        self.withdrawal.notify_waiters();
    }

    /// Whether the endpoint left the route table.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    /// Waits until the endpoint leaves the route table.
    pub(crate) async fn withdrawn(&self) {
        // Registered before the check, so that no withdrawal is missed.
        let withdrawal = self.withdrawal.notified();
        if !self.is_withdrawn() {
            withdrawal.await;
        }
    }

    /// Makes the endpoint ineligible for [`INELIGIBLE`].
    pub fn mark_failed(&self, now: Timestamp) {
        let until = now.plus(INELIGIBLE).as_micros();
        self.failed_until.store(until, Ordering::Relaxed);
    }

    /// Whether a recent attempt failed.
    pub fn is_failed(&self, now: Timestamp) -> bool {
        self.failed_until.load(Ordering::Relaxed) > now.as_micros()
    }

    pub(crate) fn clear_failure(&self) {
        self.failed_until.store(i64::MIN, Ordering::Relaxed);
    }

    /// Requests that wait for their response head.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}
