//! One place an app's instance answers at, and what the router remembers about it.
//!
//! A failed attempt makes an endpoint ineligible for [`INELIGIBLE`]; it stays in its pool, since
//! the scheduler, not the router, decides what runs. An endpoint that left the table is withdrawn
//! for good: its address may belong to another app soon, so no connection to it is made any more,
//! by whichever request still holds it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Notify;

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, InstanceGuid, ProcessGuid};

/// How long a failed endpoint is passed over.
pub const INELIGIBLE: Duration = Duration::from_secs(30);

/// What an instance speaks.
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

/// Where one instance of an app answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address that can be dialled from here.
    pub address: SocketAddr,
    /// The app.
    pub app_guid: AppGuid,
    /// Its process.
    pub process_guid: ProcessGuid,
    /// The instance.
    pub instance_guid: InstanceGuid,
    /// The instance's index.
    pub index: u32,
    /// What it speaks.
    pub protocol: Protocol,
}

/// What makes two endpoints the same one.
pub(crate) type EndpointKey = (SocketAddr, InstanceGuid);

impl Endpoint {
    pub(crate) fn key(&self) -> EndpointKey {
        (self.address, self.instance_guid.clone())
    }
}

/// An endpoint with its marks.
#[derive(Debug)]
pub struct EndpointState {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Unique in this process; never given to another endpoint.
    pub(crate) number: u64,
    pub(crate) headers: EndpointHeaders,
    failed_until: AtomicI64,
    in_flight: AtomicU32,
    withdrawn: AtomicBool,
    /// Wakes those who dial.
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

static NUMBERS: AtomicU64 = AtomicU64::new(0);

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
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            headers,
            failed_until: AtomicI64::new(i64::MIN),
            in_flight: AtomicU32::new(0),
            withdrawn: AtomicBool::new(false),
            withdrawal: Notify::new(),
        }
    }

    /// The endpoint left the route table: nobody dials it any more, and who does now gives up.
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
        // Registered before the look, so that no withdrawal falls in between.
        let withdrawal = self.withdrawal.notified();
        if !self.is_withdrawn() {
            withdrawal.await;
        }
    }

    /// Passes the endpoint over until [`INELIGIBLE`] has gone by.
    pub fn mark_failed(&self, now: Timestamp) {
        let until = now.plus(INELIGIBLE).as_micros();
        self.failed_until.store(until, Ordering::Relaxed);
    }

    /// Whether a recent attempt failed.
    pub fn is_failed(&self, now: Timestamp) -> bool {
        self.failed_until.load(Ordering::Relaxed) > now.as_micros()
    }

    pub(crate) fn forgive(&self) {
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
