//! The registry's own port, served like the platform's: connections that say nothing, never end
//! their request's head or do not read their response are closed in time.
//!
//! Requests run on the platform's runtime; a thread of its own carries the bytes.

use std::rc::Rc;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use crate::net::server::{BoxError, Limits, Peer, Serve, ServeLocal};

/// One thread carries what a daemon on the same machine pulls.
pub(super) fn limits() -> Limits {
    Limits {
        threads: 1,
        ..Limits::default()
    }
}

/// What answers on the port.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) router: axum::Router,
    pub(super) runtime: Handle,
}

impl Serve for Front {
    type Local = Self;

    fn local(&self) -> Self {
        self.clone()
    }
}

impl ServeLocal for Front {
    type Body = Body;

    async fn serve(
        self: Rc<Self>,
        _peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BoxError> {
        // The registry can only be read: no handler gets a body to wait for.
        let request = request.map(|_| Body::empty());
        let answer = self.router.clone().oneshot(request);
        let running = AbortOnDropHandle::new(self.runtime.spawn(answer));
        match running.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(never)) => match never {},
            Err(error) => {
                tracing::error!(error = %error, "a registry handler failed");
                Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
            }
        }
    }
}
