//! Route services: a request to a route that is bound to one goes to the service first, which sends it
//! on to `X-CF-Forwarded-Url`. A signature tells the router that a request was there. What the service
//! answers is final.
//!
//! A service that is a route of this platform is reached through the route table, without names and
//! certificates; others over HTTPS ([`external`]).
//!
//! Source: gorouter's `handlers/routeservice.go` and `proxy_round_tripper.go`. Unlike there,
//! `X-CF-Forwarded-Url` has the scheme and the port of the listener that the request came to, since
//! the platform may have no port 443.

use std::sync::Arc;

use http::HeaderValue;
use http::request::Parts;

use crate::net::server::Peer;

pub(super) mod external;
mod signature;
mod tls;

pub(super) use signature::Signer;
pub(super) use tls::ServiceTls;

use super::error::RouterError;
use super::headers::{
    FORWARDED_URL, PROXY_METADATA, PROXY_SIGNATURE, host_of, remove_instance_headers,
};
use super::local::LocalRouter;
use super::service_url::RouteService;
use super::table::{Pool, Table, plain_host};
use signature::SignatureError;

/// Where a request goes next.
pub(super) enum Hop {
    /// To the app.
    App,
    /// To the app, after its route service.
    Back,
    /// To a service that is a route of this platform.
    Route(Arc<Pool>),
    /// To a service elsewhere.
    Elsewhere(Arc<RouteService>),
}

/// Where a request to `pool` goes next; its head is changed accordingly.
pub(super) fn next_hop(
    local: &LocalRouter,
    peer: &Peer,
    pool: &Arc<Pool>,
    head: &mut Parts,
    is_tunnel: bool,
) -> Result<Hop, RouterError> {
    let Some(service) = &pool.service else {
        return Ok(Hop::App);
    };
    if is_tunnel {
        return Err(RouterError::TunnelToRouteService);
    }
    let table = local.router.load();
    let signer = local.router.signer();
    if let Some(signature) = head.headers.get(&PROXY_SIGNATURE).filter(|s| !s.is_empty()) {
        let metadata = head.headers.get(&PROXY_METADATA);
        let forwarded_url = signer.verify(signature, metadata, local.now());
        let forwarded_url = forwarded_url.map_err(|error| match error {
            SignatureError::Expired => RouterError::RouteServiceExpired,
            other => RouterError::RouteServiceSignature(other.to_string()),
        })?;
        check_origin(&table, &forwarded_url, pool)?;
        for name in [&PROXY_SIGNATURE, &PROXY_METADATA, &FORWARDED_URL] {
            head.headers.remove(name);
        }
        return Ok(Hop::Back);
    }
    let forwarded_url = forwarded_url(peer, head);
    let signed = signer.sign(&forwarded_url, local.now());
    let signed = signed.ok_or(RouterError::RouteServiceUnsigned)?;
    let url = HeaderValue::try_from(&forwarded_url);
    let url = url.map_err(|_| RouterError::RouteServiceUnsigned)?;
    head.headers.insert(FORWARDED_URL, url);
    head.headers.insert(PROXY_SIGNATURE, signed.signature);
    head.headers.insert(PROXY_METADATA, signed.metadata);
    service.address(head);
    let found = table.find(&service.host, service.target.path());
    match found.filter(|found| !found.endpoints.is_empty()) {
        Some(found) if found.service.is_some() => Err(other_origin(found, &named(&forwarded_url))),
        Some(found) => Ok(Hop::Route(found.clone())),
        // Its name leads to this router, which would answer that there is no such route.
        None if service.is_below(&local.router.settings().domain) => {
            Err(RouterError::EndpointFailure {
                cause: format!("no instance of the route service {} runs", service.host),
            })
        }
        None => {
            remove_instance_headers(&mut head.headers);
            Ok(Hop::Elsewhere(service.clone()))
        }
    }
}

/// The URL that a service sends the request on to.
fn forwarded_url(peer: &Peer, head: &Parts) -> String {
    let host = host_of(&head.uri, &head.headers).unwrap_or_default();
    let host = host.split_once(':').map_or(host, |(name, _)| name);
    let scheme = peer.scheme;
    let target = head.uri.path_and_query().map_or("/", |path| path.as_str());
    if peer.port == scheme.default_port() {
        format!("{}://{host}{target}", scheme.as_str())
    } else {
        format!("{}://{host}:{}{target}", scheme.as_str(), peer.port)
    }
}

/// A signature is for one route. Routes are compared by their names: another table may be in force since
/// the request was looked up.
fn check_origin(table: &Table, forwarded_url: &str, pool: &Pool) -> Result<(), RouterError> {
    let named = named(forwarded_url);
    let (host, path) = match named.find('/') {
        Some(at) => named.split_at(at),
        None => (&*named, "/"),
    };
    match table.find(host, path) {
        Some(found) if found.host == pool.host && found.context_path == pool.context_path => Ok(()),
        Some(_) => Err(other_origin(pool, &named)),
        None => Err(RouterError::RouteServiceSignature(format!(
            "original request URL {named} does not exist in the routing table"
        ))),
    }
}

/// Host and path of a URL of our own.
fn named(forwarded_url: &str) -> String {
    let rest = forwarded_url.split_once("://");
    let rest = rest.map_or(forwarded_url, |(_, rest)| rest);
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{}{path}", plain_host(host))
}

fn other_origin(pool: &Pool, named: &str) -> RouterError {
    RouterError::RouteServiceSignature(format!(
        "route service forwarded URL {}{} does not match the original request URL {named}",
        pool.host, pool.context_path
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_url_is_named_without_scheme_port_and_query() {
        assert_eq!(named("http://App.example:80/a/b?c=d"), "app.example/a/b");
        assert_eq!(named("https://app.example"), "app.example");
    }
}
