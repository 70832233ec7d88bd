//! The one service behind every HTTP and HTTPS listener: the platform's names to the platform,
//! everything else to the route table.
//!
//! Platform requests run on the platform's own runtime, so that a slow handler never holds the
//! thread that carries apps' traffic; every one of them learns its [`RequestBase`] and
//! [`RequestId`] as request extensions. Their bodies have a deadline by progress ([`slow_body`]);
//! whatever a handler makes of it, the client that was too slow is answered here.
//!
//! [`slow_body`]: crate::net::slow_body

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

use crate::base::Clock;
use crate::net::caller::REQUEST_ID_HEADER;
use crate::net::origin::PlatformHosts;
use crate::net::server::{BoxError, Peer, Serve, ServeLocal};
use crate::net::slow_body::{BodyLimits, Progress, TimedBody};
use crate::net::{RequestBase, RequestId};

use super::Router;
use super::error::RouterError;
use super::local::LocalRouter;
use super::proxy;
use super::response_body::ResponseBody;

/// Changes a request before it is routed, or answers it.
pub type Screen = fn(&mut Request<axum::body::Body>) -> Option<Response<axum::body::Body>>;

/// What a front door is made of.
#[derive(Clone)]
pub struct FrontDoor {
    /// Answers for apps.
    pub router: Router,
    /// Answers for the platform's names.
    pub platform: axum::Router,
    /// Looks at the platform's requests before they are routed.
    pub screen: Screen,
    /// Tells one from the other.
    pub hosts: PlatformHosts,
    /// Time of access lines and of the router's rules.
    pub clock: Arc<dyn Clock>,
    /// Where the platform's handlers run.
    pub runtime: Handle,
    /// How slow bodies of requests to the platform may be.
    pub body_limits: BodyLimits,
    /// Answers the client of such a request, given its path, when its body was too slow.
    pub too_slow: fn(&str) -> axum::response::Response,
}

impl Serve for FrontDoor {
    type Local = LocalFrontDoor;

    fn local(&self) -> LocalFrontDoor {
        LocalFrontDoor {
            router: Rc::new(LocalRouter::new(self.router.clone(), self.clock.clone())),
            door: self.clone(),
        }
    }
}

/// The front door on one thread.
pub struct LocalFrontDoor {
    router: Rc<LocalRouter>,
    door: FrontDoor,
}

impl ServeLocal for LocalFrontDoor {
    type Body = ResponseBody;

    async fn serve(
        self: Rc<Self>,
        peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, BoxError> {
        let host = proxy::host_of(request.uri(), request.headers());
        if let Some(host) = host.filter(|host| self.door.hosts.contains(host)) {
            return match host.parse() {
                Ok(authority) => Ok(self.serve_platform(&peer, authority, request).await),
                Err(_) => Ok(plain(
                    RouterError::EmptyHost.status(),
                    &RouterError::EmptyHost.text(),
                )),
            };
        }
        let answer = proxy::serve(self.router.clone(), &peer, request);
        if let Ok(response) = AssertUnwindSafe(answer).catch_unwind().await {
            return Ok(response);
        }
        tracing::error!("the router failed on a request");
        let error = RouterError::Panic;
        Ok(error.head().map(|()| ResponseBody::empty(None)))
    }
}

impl LocalFrontDoor {
    /// Holds the request's body, if it has one, to the platform's limits.
    fn timed(&self, request: Request<Incoming>) -> (Request<axum::body::Body>, Option<Slow>) {
        if request.body().is_end_stream() {
            return (request.map(|_| axum::body::Body::empty()), None);
        }
        let (uri, version) = (request.uri().clone(), request.version());
        let (head, body) = request.into_parts();
        let body = TimedBody::new(body, self.door.body_limits.clone());
        let slow = Slow {
            progress: body.progress(),
            uri,
            version,
        };
        let request = Request::from_parts(head, axum::body::Body::new(body));
        (request, Some(slow))
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
            return plain(StatusCode::FORBIDDEN, text);
        }
        let (head, body) = request.into_parts();
        if proxy::is_too_large(&head) {
            let error = RouterError::HeadTooLarge;
            return error.head().map(|()| ResponseBody::empty(None));
        }
        let id = RequestId::random();
        let request = Request::from_parts(head, body);
        let (mut request, slow) = self.timed(request);
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
        if let Some(slow) = slow.filter(|slow| slow.progress.timed_out()) {
            response = slow.answer(self.door.too_slow);
        }
        if !response.headers().contains_key(REQUEST_ID_HEADER) {
            response
                .headers_mut()
                .insert(REQUEST_ID_HEADER, id.header());
        }
        response
    }

    async fn route(&self, request: Request<axum::body::Body>) -> Response<ResponseBody> {
        let answer = self.door.platform.clone().oneshot(request);
        let running = AbortOnDropHandle::new(self.door.runtime.spawn(answer));
        match running.await {
            Ok(Ok(response)) => response.map(ResponseBody::platform),
            Ok(Err(never)) => match never {},
            Err(error) => {
                tracing::error!(error = %error, "a platform handler failed");
                let text = "500 Internal Server Error\n";
                plain(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }
}

/// A request whose body is still to come.
struct Slow {
    progress: Progress,
    uri: Uri,
    version: Version,
}

impl Slow {
    fn answer(&self, too_slow: fn(&str) -> axum::response::Response) -> Response<ResponseBody> {
        let mut response = too_slow(self.uri.path()).map(ResponseBody::platform);
        // What the client may send yet belongs to no request.
        if self.version < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

fn plain(status: StatusCode, text: &str) -> Response<ResponseBody> {
    let body = ResponseBody::whole(Bytes::copy_from_slice(text.as_bytes()), None);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
