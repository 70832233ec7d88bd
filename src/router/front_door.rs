//! The service behind every HTTP and HTTPS listener: platform host names go to the platform,
//! everything else to the route table.
//!
//! Platform requests run on the platform's own runtime, so that a slow handler never blocks a
//! thread that carries apps' traffic; each has its [`RequestBase`] and [`RequestId`] as request
//! extensions. Their bodies must keep making progress ([`slow_body`]); a client that is too slow
//! gets its response here, whatever the handler does.
//!
//! [`slow_body`]: crate::net::slow_body

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{self, HeaderValue};
use http::uri::Authority;
use http::{Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;
use tracing::Instrument;

use crate::base::Clock;
use crate::net::caller::REQUEST_ID_HEADER;
use crate::net::origin::PlatformHosts;
use crate::net::server::{BoxError, Peer, Serve, ServeLocal};
use crate::net::slow_body::{BodyLimits, Progress, TimedBody};
use crate::net::{RequestBase, RequestId};

use super::Router;
use super::error::RouterError;
use super::local::LocalRouter;
use super::response_body::ResponseBody;
use super::{headers, proxy};

/// Modifies a request before it is routed, or responds to it.
pub type Screen = fn(&mut Request<axum::body::Body>) -> Option<Response<axum::body::Body>>;

/// The parts of a front door.
#[derive(Clone)]
pub struct FrontDoor {
    /// Serves apps.
    pub router: Router,
    /// Serves the platform's host names.
    pub platform: axum::Router,
    /// Checks platform requests before they are routed.
    pub screen: Screen,
    /// Distinguishes them.
    pub hosts: PlatformHosts,
    /// Clock of access lines and of the router's rules.
    pub clock: Arc<dyn Clock>,
    /// The runtime of the platform's handlers.
    pub runtime: Handle,
    /// Limits for slow request bodies to the platform.
    pub body_limits: BodyLimits,
    /// The response if such a body is too slow, given the request's path.
    pub too_slow: fn(&str) -> axum::response::Response,
}

impl Serve for FrontDoor {
    type Local = LocalFrontDoor;

    fn local(&self) -> LocalFrontDoor {
        LocalFrontDoor {
            router: Rc::new(LocalRouter::new(self.router.clone(), self.clock.clone())),
            is_open: Cell::new(false),
            door: self.clone(),
        }
    }
}

/// The front door on one thread.
pub struct LocalFrontDoor {
    router: Rc<LocalRouter>,
    /// Whether requests were routed before, so that none waits.
    is_open: Cell<bool>,
    door: FrontDoor,
}

impl ServeLocal for LocalFrontDoor {
    type Body = ResponseBody;

    async fn serve(
        self: Rc<Self>,
        peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, BoxError> {
        let host = headers::host_of(request.uri(), request.headers());
        if let Some(host) = host.filter(|host| self.door.hosts.contains(host)) {
            return match host.parse() {
                Ok(authority) => Ok(self.serve_platform(&peer, authority, request).await),
                Err(_) => Ok(text_response(
                    RouterError::EmptyHost.status(),
                    &RouterError::EmptyHost.text(),
                )),
            };
        }
        if !self.is_open.get() {
            self.is_open.set(self.door.router.opened().await);
        }
        let answer = proxy::serve(self.router.clone(), &peer, request);
        if let Ok(response) = AssertUnwindSafe(answer).catch_unwind().await {
            return Ok(response);
        }
        tracing::error!("router panicked on a request");
        let error = RouterError::Panic;
        Ok(error.head().map(|()| ResponseBody::empty(None)))
    }
}

impl LocalFrontDoor {
    /// Applies the platform's limits to the request body, if any.
    fn limit_body(
        &self,
        request: Request<Incoming>,
    ) -> (Request<axum::body::Body>, Option<PendingBody>) {
        if request.body().is_end_stream() {
            return (request.map(|_| axum::body::Body::empty()), None);
        }
        let (uri, version) = (request.uri().clone(), request.version());
        let (head, body) = request.into_parts();
        let body = TimedBody::new(body, self.door.body_limits.clone());
        let pending = PendingBody {
            progress: body.progress(),
            uri,
            version,
        };
        let request = Request::from_parts(head, axum::body::Body::new(body));
        (request, Some(pending))
    }

    async fn serve_platform(
        &self,
        peer: &Peer,
        authority: Authority,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let base = RequestBase {
            scheme: peer.scheme,
            authority,
            client: peer.address,
        };
        let hosts = &self.door.hosts;
        if !hosts.admits(request.method(), request.headers(), &base) {
            let text = "403 Forbidden: requests from pages of other sites are refused\n";
            return text_response(StatusCode::FORBIDDEN, text);
        }
        let (head, body) = request.into_parts();
        if proxy::is_too_large(&head) {
            let error = RouterError::HeadTooLarge;
            return error.head().map(|()| ResponseBody::empty(None));
        }
        let id = RequestId::random();
        let request = Request::from_parts(head, body);
        let (mut request, pending) = self.limit_body(request);
        if let Ok(host) = HeaderValue::from_str(base.authority.as_str()) {
            request.headers_mut().insert(header::HOST, host);
        }
        request.headers_mut().insert(REQUEST_ID_HEADER, id.header());
        request.extensions_mut().insert(base);
        request.extensions_mut().insert(id.clone());
        let mut response = match (self.door.screen)(&mut request) {
            Some(answer) => answer.map(ResponseBody::platform),
            None => self.route(request).await,
        };
        if let Some(pending) = pending.filter(|pending| pending.progress.timed_out()) {
            response = pending.answer(self.door.too_slow);
        }
        if !response.headers().contains_key(REQUEST_ID_HEADER) {
            response
                .headers_mut()
                .insert(REQUEST_ID_HEADER, id.header());
        }
        response
    }

    async fn route(&self, request: Request<axum::body::Body>) -> Response<ResponseBody> {
        let id = request.extensions().get::<RequestId>();
        // Of the highest level, so that no filter takes the id from lines that it lets pass.
        let span = tracing::error_span!("request", id = id.map(RequestId::as_str));
        let answer = self.door.platform.clone().oneshot(request).instrument(span);
        let running = AbortOnDropHandle::new(self.door.runtime.spawn(answer));
        match running.await {
            Ok(Ok(response)) => response.map(ResponseBody::platform),
            Ok(Err(never)) => match never {},
            Err(error) => {
                tracing::error!(error = %error, "platform handler failed");
                let text = "500 Internal Server Error\n";
                text_response(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }
}

/// A request whose body was not received yet.
struct PendingBody {
    progress: Progress,
    uri: Uri,
    version: Version,
}

impl PendingBody {
    fn answer(&self, too_slow: fn(&str) -> axum::response::Response) -> Response<ResponseBody> {
        let mut response = too_slow(self.uri.path()).map(ResponseBody::platform);
        // Further bytes of the client belong to no request.
        if self.version < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

fn text_response(status: StatusCode, text: &str) -> Response<ResponseBody> {
    let body = ResponseBody::whole(Bytes::copy_from_slice(text.as_bytes()), None);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
