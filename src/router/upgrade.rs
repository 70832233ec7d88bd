//! Protocol upgrades (WebSocket and others) and `CONNECT`: a tunnel once the app accepts.
//!
//! A tunnel has its own connection and task, no timeout, and one access line at its end. A response
//! other than an upgrade is relayed as usual.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use crate::net::server::Interim;

use super::alone;
use super::backend::dial;
use super::client_side::ClientSide;
use super::endpoint::EndpointState;
use super::error::RouterError;
use super::exchange::{Exchange, Waiting, error_response};
use super::failure::Failure;
use super::headers::set_instance_headers;
use super::request_body::{RequestBody, Upload};
use super::response_body::ResponseBody;
use super::trace::Trace;

/// Forwards a request to change to `protocol`, or a `CONNECT`.
pub(crate) async fn serve(
    mut exchange: Exchange,
    request: Request<Incoming>,
    protocol: Option<HeaderValue>,
    interim: Option<&Interim>,
) -> Response<ResponseBody> {
    let (mut head, body) = request.into_parts();
    let client = head.extensions.remove::<OnUpgrade>();
    head.extensions.clear();
    head.version = Version::HTTP_11;
    if let Some(protocol) = &protocol {
        let upgrade = HeaderValue::from_static("Upgrade");
        head.headers.insert(header::CONNECTION, upgrade);
        head.headers.insert(header::UPGRADE, protocol.clone());
    }
    let connect = head.method == Method::CONNECT;
    let mut client_side = ClientSide {
        interim,
        ..ClientSide::default()
    };
    let body = if body.is_end_stream() {
        RequestBody::Empty
    } else {
        let upload = Rc::new(Upload::default());
        exchange.trace.uploading(upload.clone());
        client_side.upload = Some(upload.clone());
        RequestBody::stream(body, upload, None)
    };
    let request = Request::from_parts(head, body);
    let sent = send(&mut exchange, request, &client_side).await;
    let (mut response, state) = match sent {
        Ok(answered) => answered,
        Err(failure) => return exchange.give_up(&client_side, failure),
    };
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS
        || (connect && response.status().is_success());
    if !switched {
        return relay(exchange, &state, response);
    }
    let answered = response.headers().get(header::UPGRADE);
    if !connect && !same_protocol(answered, protocol.as_ref()) {
        return error_response(exchange.trace, &RouterError::WrongUpgrade);
    }
    let answered = answered.cloned();
    let app = hyper::upgrade::on(&mut response);
    let Some(client) = client else {
        return error_response(exchange.trace, &RouterError::WrongUpgrade);
    };
    exchange.finish_headers(response.headers_mut(), &state);
    open_tunnel(exchange.trace, response, answered, Ends { client, app })
}

fn same_protocol(answered: Option<&HeaderValue>, asked: Option<&HeaderValue>) -> bool {
    match (answered, asked) {
        (Some(answered), Some(asked)) => answered.as_bytes().eq_ignore_ascii_case(asked.as_bytes()),
        _ => false,
    }
}

async fn send(
    exchange: &mut Exchange,
    mut request: Request<RequestBody>,
    client: &ClientSide<'_>,
) -> Result<(Response<Incoming>, Arc<EndpointState>), Option<Failure>> {
    let router = exchange.local.router.clone();
    let settings = router.settings();
    let mut tried = Vec::new();
    let mut last = None;
    while tried.len() < settings.attempts {
        let now = exchange.local.now();
        let Some(state) = exchange.choose(&tried, now) else {
            break;
        };
        exchange.trace.attempted(state.clone());
        set_instance_headers(request.headers_mut(), &state);
        let _waiting = Waiting::on(&state);
        let socket = match dial(&state, settings.dial_timeout).await {
            Ok(socket) => socket,
            Err(failure) => {
                state.mark_failed(now);
                tried.push(state.number);
                last = Some(failure);
                continue;
            }
        };
        let io = TokioIo::new(socket);
        let sent = alone::send(io, request, client, exchange.deadline).await;
        return Ok((sent.map_err(Some)?, state.clone()));
    }
    Err(last)
}

fn relay(
    exchange: Exchange,
    state: &EndpointState,
    response: Response<Incoming>,
) -> Response<ResponseBody> {
    let (mut head, body) = response.into_parts();
    exchange.finish_headers(&mut head.headers, state);
    let mut trace = exchange.trace;
    head.extensions.clear();
    trace.answered(head.status);
    let body = ResponseBody::stream(body, exchange.deadline, trace);
    Response::from_parts(head, body)
}

/// The two connections that a tunnel joins.
struct Ends {
    client: OnUpgrade,
    app: OnUpgrade,
}

fn open_tunnel(
    mut trace: Box<Trace>,
    response: Response<Incoming>,
    protocol: Option<HeaderValue>,
    ends: Ends,
) -> Response<ResponseBody> {
    let (mut head, _body) = response.into_parts();
    head.extensions.clear();
    if let Some(protocol) = protocol {
        let upgrade = HeaderValue::from_static("Upgrade");
        head.headers.insert(header::CONNECTION, upgrade);
        head.headers.insert(header::UPGRADE, protocol);
    }
    trace.answered(head.status);
    tokio::task::spawn_local(tunnel(trace, ends));
    Response::from_parts(head, ResponseBody::empty(None))
}

async fn tunnel(mut trace: Box<Trace>, ends: Ends) {
    let (client, app) = match tokio::try_join!(ends.client, ends.app) {
        Ok(both) => both,
        Err(error) => return tracing::debug!(error = %error, "tunnel upgrade failed"),
    };
    let copied = copy(client, app).await;
    match copied {
        Ok((up, down)) => trace.tunnelled(up, down),
        Err(error) => tracing::debug!(error = %error, "tunnel failed"),
    }
}

async fn copy(client: Upgraded, app: Upgraded) -> std::io::Result<(u64, u64)> {
    let mut client = TokioIo::new(client);
    let mut app = TokioIo::new(app);
    tokio::io::copy_bidirectional(&mut client, &mut app).await
}
