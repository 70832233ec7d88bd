//! A port of its own for an axum router, served like the platform's: connections that are silent, never complete
//! their request head, do not send their body or do not read their response are closed after a
//! timeout.
//!
//! Requests run on the platform's runtime; a separate thread does the I/O.

use std::rc::Rc;
use std::sync::Arc;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use super::server::{BoxError, Limits, Listener, Peer, Serve, ServeError, ServeLocal, Server};
use super::slow_body::{BodyLimits, TimedBody};

/// Serves `listener` until `token` is cancelled and the pending requests are done.
pub async fn serve(
    router: axum::Router,
    listener: TcpListener,
    token: CancellationToken,
) -> Result<(), ServeError> {
    let service = RouterService {
        router,
        runtime: Handle::current(),
    };
    // One thread is enough for clients on the same machine.
    let limits = Limits {
        threads: 1,
        ..Limits::default()
    };
    let listeners = vec![Listener::plain(listener.into_std()?)];
    Arc::new(Server::new(listeners, service, limits))
        .run(token)
        .await
}

/// The service on the port.
#[derive(Clone)]
struct RouterService {
    router: axum::Router,
    runtime: Handle,
}

impl Serve for RouterService {
    type Local = Self;

    fn local(&self) -> Self {
        self.clone()
    }
}

impl ServeLocal for RouterService {
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
                tracing::error!(error = %error, "a handler failed");
                Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
            }
        }
    }
}
