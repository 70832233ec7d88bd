//! The trace of one exchange; writes one access line when it is dropped.
//!
//! Every exchange ends with a drop: completed, failed, or aborted by the client.

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use crate::base::Timestamp;

use super::access_log::Record;
use super::endpoint::EndpointState;
use super::error::RouterError;
use super::headers::{FORWARDED_FOR, FORWARDED_PROTO};
use super::local::LocalRouter;
use super::request_body::Upload;
use super::table::Pool;
use crate::net::caller::REQUEST_ID_HEADER;

/// The access record of an exchange in progress.
pub(crate) struct Trace {
    local: Rc<LocalRouter>,
    record: Record,
    pool: Option<Arc<Pool>>,
    endpoint: Option<Arc<EndpointState>>,
    upload: Option<Rc<Upload>>,
}

impl Trace {
    pub(crate) fn new(local: Rc<LocalRouter>, record: Record) -> Self {
        Self {
            local,
            record,
            pool: None,
            endpoint: None,
            upload: None,
        }
    }

    /// The request goes to this pool.
    pub(crate) fn routed(&mut self, pool: Arc<Pool>) {
        self.pool = Some(pool);
    }

    /// The request, whose head is now this one, goes to another route first.
    pub(crate) fn rerouted(&mut self, pool: Arc<Pool>, head: &Parts) {
        self.pool = Some(pool);
        self.record.host = head.headers.get(header::HOST).cloned();
        self.record.uri = head.uri.clone();
    }

    /// The host that was asked for, as the client wrote it.
    pub(crate) fn host(&self) -> &str {
        let host = self.record.host.as_ref();
        host.and_then(|host| host.to_str().ok()).unwrap_or_default()
    }

    /// No app has to do with the exchange: it gets no line.
    pub(crate) fn unrouted(&mut self) {
        self.pool = None;
    }

    /// Records the headers that the instance gets.
    pub(crate) fn note_request(&mut self, headers: &HeaderMap, now: Timestamp) {
        let record = &mut self.record;
        record.referer = headers.get(header::REFERER).cloned();
        record.user_agent = headers.get(header::USER_AGENT).cloned();
        record.forwarded_for = headers.get(FORWARDED_FOR).cloned();
        record.forwarded_proto = headers.get(FORWARDED_PROTO).cloned();
        record.request_id = headers.get(REQUEST_ID_HEADER).cloned();
        record.proxied = Some(now);
    }

    /// The endpoint of the latest attempt.
    pub(crate) fn attempted(&mut self, endpoint: Arc<EndpointState>) {
        self.endpoint = Some(endpoint);
    }

    /// Counts the request body.
    pub(crate) fn uploading(&mut self, upload: Rc<Upload>) {
        self.upload = Some(upload);
    }

    /// The status the client gets.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.record.status = Some(status);
    }

    /// The router responds with an error.
    pub(crate) fn failed(&mut self, error: &RouterError) {
        self.record.status = Some(error.status());
        self.record.router_error = error.code();
    }

    /// A tunnel carried this much up and down.
    pub(crate) fn tunnelled(&mut self, up: u64, down: u64) {
        self.record.request_bytes = up;
        self.record.response_bytes = down;
    }

    /// Body bytes went to the client.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.record.response_bytes += bytes as u64;
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if self.record.status.is_none() {
            let gone = RouterError::ClientGone;
            self.failed(&gone);
            self.record.response_bytes = gone.text().len() as u64;
        }
        if let Some(upload) = &self.upload {
            self.record.request_bytes = upload.bytes.get();
        }
        self.record.finished = self.local.now();
        self.local
            .write_line(&self.record, self.pool.as_deref(), self.endpoint.as_deref());
    }
}
