//! A request in progress, shared by forwarding and tunnels.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use tokio::time::Instant;

use crate::base::Timestamp;
use crate::net::RequestId;

use super::choice::{Asked, Target, choose, is_overloaded};
use super::client_side::ClientSide;
use super::endpoint::EndpointState;
use super::error::RouterError;
use super::failure::Failure;
use super::hashing::hash;
use super::headers::prepare_response;
use super::local::LocalRouter;
use super::response_body::ResponseBody;
use super::sticky::{self, Affinity};
use super::table::{LoadBalancing, Pool};
use super::trace::Trace;

/// A request in progress.
pub(crate) struct Exchange {
    pub(crate) local: Rc<LocalRouter>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) target: Option<Target>,
    pub(crate) affinity: Option<Box<Affinity>>,
    /// Of the header by which the pool balances.
    pub(crate) hash: Option<u64>,
    pub(crate) trace: Box<Trace>,
    pub(crate) request_id: HeaderValue,
    /// It is at the app of a route service, whose sessions are not the client's.
    visits_service: bool,
    /// When the first attempt started.
    pub(crate) started_at: Timestamp,
    /// When the exchange has to be over, unless it becomes a tunnel.
    pub(crate) deadline: Instant,
}

impl Exchange {
    /// An exchange that starts now.
    pub(crate) fn begin(
        local: Rc<LocalRouter>,
        trace: Box<Trace>,
        (pool, target): (Arc<Pool>, Option<Target>),
        headers: &HeaderMap,
    ) -> Self {
        Self {
            affinity: Affinity::of_request(headers),
            hash: hash_of(&pool, headers),
            visits_service: false,
            request_id: RequestId::random().header(),
            started_at: local.now(),
            deadline: Instant::now() + local.router.settings().request_timeout,
            local,
            pool,
            target,
            trace,
        }
    }

    /// The endpoint for the next attempt.
    pub(crate) fn choose(&self, tried: &[u64], now: Timestamp) -> Option<Arc<EndpointState>> {
        let asked = Asked {
            target: self.target.as_ref(),
            sticky: self.affinity.as_ref().map(|affinity| &*affinity.instance),
            hash: self.hash,
            limit: self.local.router.settings().instance_requests,
        };
        choose(&self.pool, asked, tried, now)
    }

    /// The request, whose head is now this one, goes to the route of its route service.
    pub(crate) fn reroute(&mut self, pool: Arc<Pool>, head: &Parts) {
        self.trace.rerouted(pool.clone(), head);
        self.hash = hash_of(&pool, &head.headers);
        self.pool = pool;
        self.target = None;
        self.affinity = None;
        self.visits_service = true;
    }

    /// The response when no attempt succeeded; `last` is the last one's failure.
    pub(crate) fn give_up(
        self,
        client: &ClientSide<'_>,
        last: Option<Failure>,
    ) -> Response<ResponseBody> {
        let upload = client.upload.as_ref();
        let error = if upload.is_some_and(|upload| upload.broken.get()) {
            RouterError::ClientGone
        } else {
            last.map_or_else(|| self.nobody(), RouterError::from)
        };
        error_response(self.trace, &error)
    }

    /// Why no endpoint was chosen at all.
    fn nobody(&self) -> RouterError {
        let limit = self.local.router.settings().instance_requests;
        let mut endpoints = self.pool.endpoints.iter();
        if endpoints.any(|state| is_overloaded(state, limit)) {
            let host = self.trace.host().to_owned();
            return RouterError::ConnectionLimit { host };
        }
        Failure::no_endpoints().into()
    }

    /// Turns the headers of an instance's response into those for the client.
    pub(crate) fn finish_headers(&self, headers: &mut HeaderMap, state: &EndpointState) {
        prepare_response(headers, &self.request_id);
        if self.visits_service {
            return;
        }
        let affinity = self.affinity.as_deref();
        sticky::add_cookies(headers, affinity, &self.pool, state, self.started_at);
    }
}

/// The hash of a request in a pool that balances by one, if it has the header.
fn hash_of(pool: &Pool, headers: &HeaderMap) -> Option<u64> {
    let LoadBalancing::Hash(hashing) = &pool.options.load_balancing else {
        return None;
    };
    let value = headers.get(&hashing.header);
    let value = value.filter(|value| !value.is_empty())?;
    Some(hash(value.as_bytes()))
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
