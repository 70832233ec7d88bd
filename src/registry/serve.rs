//! The registry's own port, served like the platform's: connections that are silent, never complete
//! their request head, do not send their body or do not read their response are closed after a
//! timeout.
//!
//! Requests run on the platform's runtime; a separate thread does the I/O.

use std::rc::Rc;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use crate::net::server::{BoxError, Limits, Peer, Serve, ServeLocal};
use crate::net::slow_body::{BodyLimits, TimedBody};

/// One thread is enough for a daemon on the same machine.
pub(super) fn limits() -> Limits {
    Limits {
        threads: 1,
        ..Limits::default()
    }
}

/// The service on the port.
#[derive(Clone)]
pub(super) struct RegistryService {
    pub(super) router: axum::Router,
    pub(super) runtime: Handle,
}

impl Serve for RegistryService {
    type Local = Self;

    fn local(&self) -> Self {
        self.clone()
    }
}

impl ServeLocal for RegistryService {
    type Body = Body;

    async fn serve(
        self: Rc<Self>,
        _peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BoxError> {
        // Blobs may be of any size and take any time, as long as they move.
        let slow = |body| TimedBody::new(body, BodyLimits::default());
        let request = request.map(|body| Body::new(slow(body)));
        let answer = self.router.clone().oneshot(request);
        let running = AbortOnDropHandle::new(self.runtime.spawn(answer));
        match running.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(never)) => match never {},
            Err(error) => {
                tracing::error!(error = %error, "registry handler failed");
                Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
            }
        }
    }
}
