//! A request in progress, shared by forwarding and tunnels.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};

use crate::base::Timestamp;

use super::choice::{Target, choose};
use super::endpoint::EndpointState;
use super::error::RouterError;
use super::headers::prepare_response;
use super::local::LocalRouter;
use super::response_body::ResponseBody;
use super::sticky::{self, Affinity};
use super::table::Pool;
use super::trace::Trace;

/// A request in progress.
pub(crate) struct Exchange {
    pub(crate) local: Rc<LocalRouter>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) target: Option<Target>,
    pub(crate) affinity: Option<Box<Affinity>>,
    pub(crate) trace: Box<Trace>,
    pub(crate) request_id: HeaderValue,
    /// When the first attempt started.
    pub(crate) started_at: Timestamp,
}

impl Exchange {
    /// The endpoint for the next attempt.
    pub(crate) fn choose(&self, tried: &[u64], now: Timestamp) -> Option<Arc<EndpointState>> {
        let sticky = self.affinity.as_ref().map(|affinity| &*affinity.instance);
        choose(&self.pool, self.target.as_ref(), sticky, tried, now)
    }

    /// Turns the headers of an instance's response into those for the client.
    pub(crate) fn finish_headers(&self, headers: &mut HeaderMap, state: &EndpointState) {
        prepare_response(headers, &self.request_id);
        let affinity = self.affinity.as_deref();
        sticky::add_cookies(headers, affinity, &self.pool, state, self.started_at);
    }
}

/// An error response of the router itself.
pub(crate) fn error_response(mut trace: Box<Trace>, error: &RouterError) -> Response<ResponseBody> {
    trace.failed(error);
    let text = Bytes::from(error.text());
    error
        .head()
        .map(|()| ResponseBody::whole(text, Some(trace)))
}

/// Counts a request as waiting for its response's head.
pub(crate) struct Waiting(Arc<EndpointState>);

impl Waiting {
    pub(crate) fn on(state: &Arc<EndpointState>) -> Self {
        state.begin();
        Self(state.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.end();
    }
}
