//! One request: lookup, headers, and where it goes.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use sha2::{Digest, Sha256};

use crate::net::server::{Interim, MAX_HEAD, Peer};

use super::access_log::Record;
use super::choice::Target;
use super::client_certificate;
use super::error::RouterError;
use super::exchange::{Exchange, error_response};
use super::forward::{forward, prepare};
use super::headers::{
    APP_INSTANCE, PROCESS_INSTANCE, head_size, host_of, join_cookies, prepare_request, upgrade_of,
};
use super::local::LocalRouter;
use super::response_body::ResponseBody;
use super::route_service::{Hop, external, next_hop};
use super::table::{Pool, plain_host};
use super::trace::Trace;
use super::upgrade;

/// The user agent of some load balancers' health checks.
const HEALTH_USER_AGENT: &str = "HTTP-Monitor/1.1";

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
    let mut exchange = Exchange::begin(local, trace, (pool, target), &head.headers);
    let now = exchange.started_at;
    if is_too_large(&head) {
        // The access line goes to the log of the instance that would have been chosen.
        if let Some(state) = exchange.choose(&[], now) {
            exchange.trace.attempted(state);
        }
        return error_response(exchange.trace, &RouterError::HeadTooLarge);
    }
    let upgrade = upgrade_of(&head.headers);
    let is_tunnel = upgrade.is_some() || head.method == Method::CONNECT;
    let request_id = exchange.request_id.clone();
    prepare_request(&mut head.headers, peer, request_id, now);
    let hop = next_hop(&exchange.local, peer, &exchange.pool, &mut head, is_tunnel);
    let mode = exchange.local.router.settings().forwarded_client_cert;
    let came_back = matches!(hop, Ok(Hop::Back));
    client_certificate::forward(&mut head.headers, peer, mode, came_back);
    exchange.trace.note_request(&head.headers, now);
    let interim = interim_of(peer, head.version);
    match hop {
        Ok(Hop::App | Hop::Back) => {}
        Ok(Hop::Route(pool)) => exchange.reroute(pool, &head),
        Ok(Hop::Elsewhere(service)) => {
            let prepared = prepare(head, body);
            // Boxed: few requests go there.
            let served = external::serve(exchange, &service, prepared, interim);
            return Box::pin(served).await;
        }
        Err(error) => return error_response(exchange.trace, &error),
    }
    if is_tunnel {
        let request = Request::from_parts(head, body);
        return upgrade::serve(exchange, request, upgrade, interim).await;
    }
    forward(exchange, prepare(head, body), interim).await
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
    let target = match pool.service {
        // A route with a route service has no targets, as in Cloud Foundry.
        Some(_) => None,
        None => target_of(&head.headers).map_err(|error| (error, None))?,
    };
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
