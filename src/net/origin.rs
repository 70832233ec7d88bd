//! Host and origin checks for the platform's own names.
//!
//! A page of a foreign site can make a browser send requests to loopback. Against DNS rebinding
//! the platform answers only for its own names, `localhost` and IP literals: a foreign name that
//! resolves to this machine is looked up among the routes and not found. Against cross-site
//! requests, a request that changes state or opens a tunnel must have an `Origin` of the platform,
//! if it has one. The cf CLI and other tools send no `Origin`; the log clients of Cloud Foundry (noaa)
//! send `http://localhost`, whatever they ask. They are known by their bearer token: no page can send one
//! with a websocket.

use std::collections::HashSet;
use std::net::IpAddr;

use http::{HeaderMap, Method, header};

use super::caller::RequestBase;

/// The names in front of the system domain that belong to the platform.
pub const PLATFORM_NAMES: [&str; 9] = [
    "api",
    "login",
    "uaa",
    "log-cache",
    "log-stream",
    "doppler",
    "ssh",
    "console",
    "registry",
];

/// Distinguishes the platform's host names from those of apps.
#[derive(Clone, Debug)]
pub struct PlatformHosts {
    names: HashSet<String>,
}

impl PlatformHosts {
    /// The platform's names under `system_domain`, and the domain itself.
    pub fn new(system_domain: &str) -> Self {
        let domain = system_domain.to_ascii_lowercase();
        let mut names: HashSet<String> = PLATFORM_NAMES
            .iter()
            .map(|name| format!("{name}.{domain}"))
            .collect();
        names.insert(domain);
        names.insert("localhost".to_owned());
        Self { names }
    }

    /// Whether `host` (port and case as received) is the platform's.
    pub fn contains(&self, host: &str) -> bool {
        let name = without_port(host);
        let named = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.names.contains(&name.to_ascii_lowercase())
        } else {
            self.names.contains(name)
        };
        named || is_address(name)
    }

    /// Whether the request passes the check of its `Origin`.
    pub fn admits(&self, method: &Method, headers: &HeaderMap, base: &RequestBase) -> bool {
        let is_reading = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let is_safe =
            is_reading && (!headers.contains_key(header::UPGRADE) || has_bearer_token(headers));
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        is_safe
            || origin
                .to_str()
                .is_ok_and(|origin| self.is_own(origin, base))
    }

    fn is_own(&self, origin: &str, base: &RequestBase) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else {
            return false;
        };
        let requested = base.authority.as_str();
        let same_port = port_of(authority) == port_of(requested);
        scheme == base.scheme.as_str()
            && same_port
            && (authority.eq_ignore_ascii_case(requested)
                || (self.contains(authority) && !is_address(without_port(authority))))
    }
}

/// Browsers send what a user typed into their own dialogue with websockets (`Basic`), but no page can
/// add a header.
fn has_bearer_token(headers: &HeaderMap) -> bool {
    let authorization = headers.get(header::AUTHORIZATION);
    let scheme = authorization.and_then(|value| value.as_bytes().get(..7));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_once(']').map_or(host, |(name, _)| &name[1..]);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

fn port_of(authority: &str) -> Option<&str> {
    let rest = authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest);
    rest.rsplit_once(':').map(|(_, port)| port)
}

fn is_address(name: &str) -> bool {
    let could = name
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'.' || byte == b':');
    could && name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::uri::Authority;

    use super::super::caller::Scheme;
    use super::*;

    #[test]
    fn platform_names_are_distinguished_from_apps() {
        let hosts = PlatformHosts::new("CF.localhost");
        for host in [
            "api.cf.localhost",
            "API.cf.LOCALHOST:8080",
            "cf.localhost",
            "localhost:8080",
            "127.0.0.1",
            "10.0.0.7:80",
            "[::1]:8080",
            "[fe80::1]",
        ] {
            assert!(hosts.contains(host), "{host}");
        }
        for host in [
            "shop.cf.localhost",
            "api.cf.localhost.evil.example",
            "xapi.cf.localhost",
            "api.shop.cf.localhost",
            "evil.example",
            "1.2.3.4.example",
            "",
        ] {
            assert!(!hosts.contains(host), "{host}");
        }
    }

    #[test]
    fn foreign_origins_cannot_change_state() {
        let hosts = PlatformHosts::new("cf.localhost");
        let base = RequestBase {
            scheme: Scheme::Http,
            authority: Authority::from_static("console.cf.localhost:8080"),
            client: ([127, 0, 0, 1], 5).into(),
        };
        let cases = [
            (None, Method::POST, true),
            (Some("http://console.cf.localhost:8080"), Method::POST, true),
            (Some("http://login.cf.localhost:8080"), Method::POST, true),
            (Some("http://shop.cf.localhost:8080"), Method::POST, false),
            (Some("http://evil.example"), Method::POST, false),
            (Some("http://evil.example"), Method::GET, true),
            (
                Some("https://console.cf.localhost:8080"),
                Method::PUT,
                false,
            ),
            (Some("http://console.cf.localhost:9999"), Method::PUT, false),
            (Some("http://127.0.0.1:8080"), Method::POST, false),
            (Some("null"), Method::DELETE, false),
        ];
        for (origin, method, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let admitted = hosts.admits(&method, &headers, &base);
            assert_eq!(admitted, expected, "{method} {origin:?}");
        }
    }

    #[test]
    fn a_foreign_origin_cannot_open_a_tunnel() {
        let hosts = PlatformHosts::new("cf.localhost");
        let base = RequestBase {
            scheme: Scheme::Http,
            authority: Authority::from_static("localhost:8080"),
            client: ([127, 0, 0, 1], 5).into(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            header::ORIGIN,
            HeaderValue::from_static("http://evil.example"),
        );
        assert!(!hosts.admits(&Method::GET, &headers, &base));
        headers.insert(
            header::ORIGIN,
            HeaderValue::from_static("http://localhost:8080"),
        );
        assert!(hosts.admits(&Method::GET, &headers, &base));
    }

    #[test]
    fn a_log_client_with_a_token_can_open_a_tunnel_from_any_origin() {
        let hosts = PlatformHosts::new("cf.localhost");
        let base = RequestBase {
            scheme: Scheme::Https,
            authority: Authority::from_static("doppler.cf.localhost:8443"),
            client: ([127, 0, 0, 1], 5).into(),
        };
        for (authorization, method, admitted) in [
            ("bearer x", Method::GET, true),
            ("Bearer x", Method::GET, true),
            ("bearer x", Method::POST, false),
            ("Basic eDp5", Method::GET, false),
            ("bearer", Method::GET, false),
            ("", Method::GET, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                (header::UPGRADE, "websocket"),
                (header::ORIGIN, "http://localhost"),
                (header::AUTHORIZATION, authorization),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            let found = hosts.admits(&method, &headers, &base);
            assert_eq!(found, admitted, "{method} {authorization}");
        }
    }
}
