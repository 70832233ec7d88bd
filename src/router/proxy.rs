//! One request to an app: lookup, headers, attempts, response.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};

use crate::net::RequestId;
use crate::net::server::{Interim, MAX_HEAD, Peer};

use super::access_log::Record;
use super::backend_body::{BackendBody, ReceivedBody};
use super::choice::Target;
use super::client_side::ClientSide;
use super::endpoint::{EndpointState, Protocol};
use super::error::RouterError;
use super::exchange::{Exchange, Waiting, error_response};
use super::failure::{Failure, FailureKind};
use super::headers::{
    APP_INSTANCE, PROCESS_INSTANCE, head_size, is_idempotent, join_cookies, prepare_request,
    set_instance_headers, upgrade_of,
};
use super::local::LocalRouter;
use super::pool::Outgoing;
use super::request_body::{RequestBody, Signal, Upload};
use super::response_body::ResponseBody;
use super::sticky::Affinity;
use super::table::{Pool, plain_host};
use super::trace::Trace;
use super::upgrade;

/// The user agent of some load balancers' health checks.
const HEALTH_USER_AGENT: &str = "HTTP-Monitor/1.1";

/// The host of a request: from its URL, else from its `Host`.
pub(crate) fn host_of<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST)?.to_str().ok(),
    }
}

/// Proxies a request by the route table.
pub(crate) async fn serve(
    local: Rc<LocalRouter>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (mut head, body) = request.into_parts();
    if let Some(response) = immediate_response(&head.method, &head.uri, &head.headers) {
        return response;
    }
    normalize_host(&mut head);
    let mut record = record_of(&local, peer, &head);
    record.is_unlogged = take_mark(&local, &mut head);
    let mut trace = Box::new(Trace::new(local.clone(), record));
    let (pool, target) = match look_up(&local, &head) {
        Ok(found) => found,
        Err((error, pool)) => {
            if let Some(pool) = pool {
                trace.routed(pool);
            }
            return error_response(trace, &error);
        }
    };
    trace.routed(pool.clone());
    let now = local.now();
    let mut exchange = Exchange {
        local,
        pool,
        target,
        affinity: Affinity::of_request(&head.headers),
        trace,
        request_id: RequestId::random().header(),
        started_at: now,
    };
    if is_too_large(&head) {
        // The access line goes to the log of the instance that would have been chosen.
        if let Some(state) = exchange.choose(&[], now) {
            exchange.trace.attempted(state);
        }
        return error_response(exchange.trace, &RouterError::HeadTooLarge);
    }
    let upgrade = upgrade_of(&head.headers);
    let request_id = exchange.request_id.clone();
    prepare_request(&mut head.headers, peer, request_id, now);
    exchange.trace.note_request(&head.headers, now);
    let interim = interim_of(peer, head.version);
    if upgrade.is_some() || head.method == Method::CONNECT {
        let request = Request::from_parts(head, body);
        return upgrade::serve(exchange, request, upgrade, interim).await;
    }
    let version = head.version;
    let prepared = exchange_body(head, body, version);
    forward(exchange, prepared, interim).await
}

/// Whether a request head exceeds the platform's limit.
pub(crate) fn is_too_large(head: &http::request::Parts) -> bool {
    head_size(&head.method, &head.uri, &head.headers) >= MAX_HEAD
}

/// The sink of interim responses: HTTP/1.0 has none, and hyper writes those of HTTP/2 itself.
fn interim_of(peer: &Peer, version: Version) -> Option<&Interim> {
    peer.interim
        .as_ref()
        .filter(|_| version == Version::HTTP_11)
}

fn immediate_response(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Response<ResponseBody>> {
    if *method == Method::OPTIONS && uri.path() == "*" {
        return Some(Response::new(ResponseBody::empty(None)));
    }
    let agent = headers.get(header::USER_AGENT)?;
    (agent == HEALTH_USER_AGENT)
        .then(|| Response::new(ResponseBody::whole(Bytes::from_static(b"ok\n"), None)))
}

/// Sets `Host` from the request line, and turns an HTTP/2 request line into an HTTP/1.1 one.
fn normalize_host(head: &mut http::request::Parts) {
    if let Some(authority) = head.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.insert(header::HOST, host);
    }
    if head.version == Version::HTTP_2 {
        join_cookies(&mut head.headers);
        if head.method != Method::CONNECT {
            let path = head.uri.path_and_query().cloned();
            head.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        }
    }
}

fn record_of(local: &LocalRouter, peer: &Peer, head: &http::request::Parts) -> Record {
    let received = local.now();
    Record {
        received,
        proxied: None,
        finished: received,
        host: head.headers.get(header::HOST).cloned(),
        method: head.method.clone(),
        uri: head.uri.clone(),
        version: head.version,
        status: None,
        request_bytes: 0,
        response_bytes: 0,
        referer: head.headers.get(header::REFERER).cloned(),
        user_agent: head.headers.get(header::USER_AGENT).cloned(),
        remote: peer.text.clone(),
        forwarded_for: None,
        forwarded_proto: None,
        request_id: None,
        router_error: None,
        is_unlogged: false,
    }
}

/// Whether the request has the platform's own mark for its host. Apps must not learn its value.
fn take_mark(local: &LocalRouter, head: &mut http::request::Parts) -> bool {
    let Some(unlogged) = &local.router.settings().unlogged else {
        return false;
    };
    let Some(found) = head.headers.remove(&unlogged.header) else {
        return false;
    };
    let host = host_of(&head.uri, &head.headers).unwrap_or_default();
    let expected = (unlogged.value)(&plain_host(host));
    // The time of a comparison tells nothing of the value when digests are compared.
    Sha256::digest(found.as_bytes()) == Sha256::digest(expected.as_bytes())
}

type Found = (Arc<Pool>, Option<Target>);

fn look_up(
    local: &LocalRouter,
    head: &http::request::Parts,
) -> Result<Found, (RouterError, Option<Arc<Pool>>)> {
    let host = match host_of(&head.uri, &head.headers) {
        Some(host) if !host.is_empty() => host,
        None if head.version == Version::HTTP_11 => return Err((RouterError::MissingHost, None)),
        _ => return Err((RouterError::EmptyHost, None)),
    };
    let named = || host.to_owned();
    let table = local.router.load();
    let Some(pool) = table.find(host, head.uri.path()) else {
        return Err((RouterError::UnknownRoute { host: named() }, None));
    };
    let target = target_of(&head.headers).map_err(|error| (error, None))?;
    let found = target
        .as_ref()
        .is_none_or(|target| pool.endpoints.iter().any(|state| target.matches(state)));
    match target {
        Some(Target::AppInstance { guid, index }) if !found => {
            let host = named();
            Err((RouterError::UnknownAppInstance { guid, index, host }, None))
        }
        Some(Target::ProcessInstance { guid, index }) if !found => {
            let host = named();
            Err((
                RouterError::UnknownProcessInstance { guid, index, host },
                None,
            ))
        }
        _ if pool.endpoints.is_empty() => {
            let error = RouterError::NoEndpoints { host: named() };
            Err((error, Some(pool.clone())))
        }
        target => Ok((pool.clone(), target)),
    }
}

fn target_of(headers: &HeaderMap) -> Result<Option<Target>, RouterError> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    if let Some(value) = headers.get(APP_INSTANCE) {
        return Target::parse_app_instance(&text(value))
            .map(Some)
            .ok_or(RouterError::InvalidAppInstance);
    }
    if let Some(value) = headers.get(PROCESS_INSTANCE) {
        return Target::parse_process_instance(&text(value))
            .map(Some)
            .ok_or(RouterError::InvalidProcessInstance);
    }
    Ok(None)
}

struct Prepared {
    outgoing: Outgoing,
    upload: Option<Rc<Upload>>,
    signal: Option<Arc<Signal>>,
}

fn exchange_body(mut head: http::request::Parts, body: Incoming, version: Version) -> Prepared {
    head.version = Version::HTTP_11;
    head.extensions.clear();
    if body.is_end_stream() {
        let retry = is_idempotent(&head.method, &head.headers).then(|| Box::new(head.clone()));
        let request = Request::from_parts(head, RequestBody::Empty);
        return Prepared {
            outgoing: Outgoing {
                request: Some(Box::new(request)),
                retry_head: retry,
            },
            upload: None,
            signal: None,
        };
    }
    let expects = version != Version::HTTP_10
        && head
            .headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let upload = Rc::new(Upload::default());
    let signal = expects.then(Arc::<Signal>::default);
    let body = RequestBody::stream(body, upload.clone(), signal.clone());
    let request = Request::from_parts(head, body);
    Prepared {
        outgoing: Outgoing {
            request: Some(Box::new(request)),
            retry_head: None,
        },
        upload: Some(upload),
        signal,
    }
}

async fn forward(
    mut exchange: Exchange,
    prepared: Prepared,
    interim: Option<&Interim>,
) -> Response<ResponseBody> {
    let mut outgoing = prepared.outgoing;
    let client = ClientSide {
        interim,
        signal: prepared.signal,
        upload: prepared.upload,
    };
    if let Some(upload) = &client.upload {
        exchange.trace.uploading(upload.clone());
    }
    let attempts = exchange.local.router.settings().attempts;
    let mut tried = Vec::new();
    let mut last: Option<Failure> = None;
    while tried.len() < attempts {
        let now = exchange.started_at;
        let Some(state) = exchange.choose(&tried, now) else {
            break;
        };
        let mut failure = match attempt(&mut exchange, &state, &mut outgoing, &client).await {
            Ok(reply) => return respond(exchange, &state, reply),
            Err(failure) => failure,
        };
        if failure.is_endpoint_failure() {
            state.mark_failed(exchange.local.now());
        }
        tried.push(state.number);
        let retry = failure.kind == FailureKind::Dial || outgoing.restore(&mut failure);
        last = Some(failure);
        if !retry {
            break;
        }
    }
    let broken = client.upload.is_some_and(|upload| upload.broken.get());
    let error = match last {
        _ if broken => RouterError::ClientGone,
        Some(Failure { cause, .. }) => RouterError::EndpointFailure { cause },
        None => RouterError::EndpointFailure {
            cause: "No endpoints available".to_owned(),
        },
    };
    error_response(exchange.trace, &error)
}

/// A response whose body is still being received.
struct Reply {
    head: http::response::Parts,
    body: ReplyBody,
}

enum ReplyBody {
    Http1(ReceivedBody),
    Http2(Incoming),
}

async fn attempt(
    exchange: &mut Exchange,
    state: &Arc<EndpointState>,
    outgoing: &mut Outgoing,
    client: &ClientSide<'_>,
) -> Result<Reply, Failure> {
    exchange.trace.attempted(state.clone());
    if let Some(request) = &mut outgoing.request {
        set_instance_headers(request.headers_mut(), state);
    }
    if let Some(head) = &mut outgoing.retry_head {
        set_instance_headers(&mut head.headers, state);
    }
    let _waiting = Waiting::on(state);
    let connections = &exchange.local.connections;
    match state.endpoint.protocol {
        Protocol::Http1 => {
            let (response, http) = connections.send_http1(state, outgoing, client).await?;
            let (head, body) = response.into_parts();
            let pool = connections.clone();
            let body = ReplyBody::Http1(BackendBody::receive(body, http, pool, state.number));
            Ok(Reply { head, body })
        }
        Protocol::Http2 => {
            let response = connections.send_http2(state, outgoing).await?;
            let (head, body) = response.into_parts();
            let body = ReplyBody::Http2(body);
            Ok(Reply { head, body })
        }
    }
}

fn respond(exchange: Exchange, state: &EndpointState, reply: Reply) -> Response<ResponseBody> {
    let Reply { mut head, body } = reply;
    tracing::trace!(instance = %state.endpoint.instance_guid, "instance responded");
    exchange.finish_headers(&mut head.headers, state);
    let mut trace = exchange.trace;
    head.version = Version::HTTP_11;
    trace.answered(head.status);
    let body = match body {
        ReplyBody::Http1(ReceivedBody::Complete(bytes, content_length)) => {
            ResponseBody::received(bytes, content_length, trace)
        }
        ReplyBody::Http1(ReceivedBody::Partial(body)) => ResponseBody::backend(body, trace),
        ReplyBody::Http2(body) => ResponseBody::stream(body, trace),
    };
    Response::from_parts(head, body)
}
