//! Header rewriting, for requests to an instance and for its responses. Pure.
//!
//! Values that a client must not set (`X-CF-*`, the request id) are overwritten; `X-Forwarded-For`
//! is extended; hop-by-hop fields are removed in both directions.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Uri};

use crate::base::Timestamp;
use crate::net::caller::REQUEST_ID_HEADER;
use crate::net::server::Peer;

use super::endpoint::EndpointState;

pub(crate) const APPLICATION_ID: HeaderName = HeaderName::from_static("x-cf-applicationid");
pub(crate) const INSTANCE_ID: HeaderName = HeaderName::from_static("x-cf-instanceid");
pub(crate) const INSTANCE_INDEX: HeaderName = HeaderName::from_static("x-cf-instanceindex");
pub(crate) const APP_INSTANCE: HeaderName = HeaderName::from_static("x-cf-app-instance");
pub(crate) const PROCESS_INSTANCE: HeaderName = HeaderName::from_static("x-cf-process-instance");
pub(crate) const ROUTER_ERROR: HeaderName = HeaderName::from_static("x-cf-routererror");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");
pub(crate) const PROXY_SIGNATURE: HeaderName = HeaderName::from_static("x-cf-proxy-signature");
pub(crate) const PROXY_METADATA: HeaderName = HeaderName::from_static("x-cf-proxy-metadata");
pub(crate) const FORWARDED_URL: HeaderName = HeaderName::from_static("x-cf-forwarded-url");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const IDEMPOTENCY_KEYS: [HeaderName; 2] = [
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-idempotency-key"),
];

/// Request fields that a client cannot remove with `Connection`: apps rely on them, or they define
/// the body's length. Otherwise a client could remove fields that a proxy in front of the router
/// added.
const END_TO_END: [HeaderName; 10] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::AUTHORIZATION,
    header::COOKIE,
    header::FORWARDED,
    header::VIA,
    REQUEST_START,
    HeaderName::from_static("b3"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
/// The same, by prefix.
const END_TO_END_PREFIXES: [&str; 4] = ["x-forwarded-", "x-cf-", "x-vcap-", "x-b3-"];

fn is_end_to_end(name: &HeaderName) -> bool {
    END_TO_END.contains(name)
        || END_TO_END_PREFIXES
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix))
}

/// The host of a request: from its URL, else from its `Host`.
pub(crate) fn host_of<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST)?.to_str().ok(),
    }
}

/// The protocol of an upgrade request.
pub(crate) fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.get(header::UPGRADE)?;
    tokens(headers, &header::CONNECTION)
        .any(|token| token.eq_ignore_ascii_case("upgrade"))
        .then(|| upgrade.clone())
}

/// Whether a request may be retried after it was written.
pub(crate) fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    ) || IDEMPOTENCY_KEYS
        .iter()
        .any(|name| headers.contains_key(name))
}

/// Prepares a request's headers for any instance.
pub(crate) fn prepare_request(
    headers: &mut HeaderMap,
    peer: &Peer,
    request_id: HeaderValue,
    now: Timestamp,
) {
    let trailers = headers.contains_key(header::TE)
        && tokens(headers, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    remove_hop_by_hop(headers, is_end_to_end);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    headers.remove(header::TRAILER);
    extend_forwarded_for(headers, &peer.ip);
    if !headers.contains_key(FORWARDED_PROTO) {
        let scheme = HeaderValue::from_static(peer.scheme.as_str());
        headers.insert(FORWARDED_PROTO, scheme);
    }
    if !headers.contains_key(REQUEST_START) {
        let millis = now.as_micros() / 1000;
        headers.insert(REQUEST_START, HeaderValue::from(millis));
    }
    headers.insert(REQUEST_ID_HEADER, request_id);
    headers.remove(APP_INSTANCE);
}

/// Sets the headers that name the instance of the next attempt.
pub(crate) fn set_instance_headers(headers: &mut HeaderMap, state: &EndpointState) {
    headers.insert(APPLICATION_ID, state.headers.application.clone());
    headers.insert(INSTANCE_ID, state.headers.instance.clone());
    headers.insert(INSTANCE_INDEX, state.headers.index.clone());
}

/// Removes what clients may not claim of an instance, for requests that go to none.
pub(crate) fn remove_instance_headers(headers: &mut HeaderMap) {
    for name in [APPLICATION_ID, INSTANCE_ID, INSTANCE_INDEX] {
        headers.remove(name);
    }
}

/// Prepares an instance's response headers for the client.
pub(crate) fn prepare_response(headers: &mut HeaderMap, request_id: &HeaderValue) {
    // An app may remove its own response headers, but not the body's length.
    remove_hop_by_hop(headers, |name| *name == header::CONTENT_LENGTH);
    headers.remove(PROXY_SIGNATURE);
    if !headers.contains_key(REQUEST_ID_HEADER) {
        headers.insert(REQUEST_ID_HEADER, request_id.clone());
    }
}

/// Prepares the headers of an instance's interim response for the client. It has no body.
pub(crate) fn prepare_interim(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers, |_| false);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(PROXY_SIGNATURE);
}

/// The size of a request head in HTTP/1.1.
pub(crate) fn head_size(method: &Method, uri: &Uri, headers: &HeaderMap) -> usize {
    const LINE: usize = " ".len() + " HTTP/1.1\r\n".len();
    const FIELD: usize = ": ".len() + "\r\n".len();
    let target = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD);
    method.as_str().len() + target + LINE + fields.sum::<usize>()
}

/// HTTP/2 may split cookies over several fields; HTTP/1.1 allows one field only.
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(header::COOKIE).iter();
    if pieces.next().is_none() || pieces.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Fields of one connection only.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
];

/// Removes the hop-by-hop fields and those named in `Connection`, except protected ones.
fn remove_hop_by_hop(headers: &mut HeaderMap, is_protected: impl Fn(&HeaderName) -> bool) {
    // Most messages have none; one scan of the names is cheaper than eight lookups.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
            .filter_map(|token| token.parse().ok())
            .filter(|name| !is_protected(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn extend_forwarded_for(headers: &mut HeaderMap, ip: &HeaderValue) {
    let chain: Vec<&[u8]> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .map(HeaderValue::as_bytes)
        .chain(std::iter::once(ip.as_bytes()))
        .collect();
    let value = match chain.len() {
        1 => ip.clone(),
        _ => HeaderValue::from_bytes(&chain.join(&b", "[..])).unwrap_or_else(|_| ip.clone()),
    };
    headers.insert(FORWARDED_FOR, value);
}

#[cfg(test)]
mod tests {
    use super::super::testing::endpoint;
    use super::*;
    use crate::net::Scheme;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn prepared(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        prepare(map(pairs))
    }

    fn prepare(mut headers: HeaderMap) -> HeaderMap {
        let peer = Peer::new("10.0.0.9:5000".parse().unwrap(), Scheme::Https);
        let id = HeaderValue::from_static("request-id");
        prepare_request(&mut headers, &peer, id, Timestamp::from_micros(1_234_567));
        set_instance_headers(&mut headers, &EndpointState::new(endpoint(8080)));
        headers
    }

    fn get<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
        headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn an_app_gets_the_client_and_its_own_instance() {
        let headers = prepared(&[("host", "Shop.example:8080")]);
        let expected = [
            ("host", "Shop.example:8080"),
            ("x-forwarded-for", "10.0.0.9"),
            ("x-forwarded-proto", "https"),
            ("x-request-start", "1234"),
            ("x-vcap-request-id", "request-id"),
            ("x-cf-applicationid", "app-guid"),
            ("x-cf-instanceid", "instance-8080"),
            ("x-cf-instanceindex", "0"),
        ];
        for (name, value) in expected {
            assert_eq!(get(&headers, name), value, "{name}");
        }
        assert_eq!(headers.len(), expected.len());
    }

    #[test]
    fn clients_may_extend_but_not_forge() {
        let headers = prepared(&[
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-forwarded-proto", "http"),
            ("x-request-start", "77"),
            ("x-vcap-request-id", "mine"),
            ("x-cf-applicationid", "mine"),
            ("x-cf-instanceid", "mine"),
            ("x-cf-instanceindex", "9"),
            ("x-cf-app-instance", "a:0"),
            ("x-cf-process-instance", "p:0"),
        ]);
        assert_eq!(
            get(&headers, "x-forwarded-for"),
            "1.1.1.1, 2.2.2.2, 10.0.0.9"
        );
        assert_eq!(get(&headers, "x-forwarded-proto"), "http");
        assert_eq!(get(&headers, "x-request-start"), "77");
        assert_eq!(get(&headers, "x-vcap-request-id"), "request-id");
        assert_eq!(get(&headers, "x-cf-applicationid"), "app-guid");
        assert_eq!(get(&headers, "x-cf-instanceindex"), "0");
        assert_eq!(get(&headers, "x-cf-app-instance"), "");
        assert_eq!(get(&headers, "x-cf-process-instance"), "p:0");
    }

    #[test]
    fn hop_by_hop_fields_are_removed_but_protected_ones_stay() {
        let headers = prepared(&[
            ("connection", "close, X-Mine, x-forwarded-proto"),
            ("connection", "X-B3-TraceId"),
            ("x-mine", "1"),
            ("x-b3-traceid", "t"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("proxy-authorization", "secret"),
            ("te", "gzip, Trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("trailer", "x-sum"),
            ("user-agent", "test"),
        ]);
        for name in [
            "connection",
            "x-mine",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "transfer-encoding",
            "upgrade",
            "trailer",
        ] {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert_eq!(get(&headers, "te"), "trailers");
        assert_eq!(get(&headers, "x-b3-traceid"), "t");
        assert_eq!(get(&headers, "x-forwarded-proto"), "https");
        assert_eq!(get(&headers, "user-agent"), "test");
    }

    #[test]
    fn a_client_cannot_remove_protected_fields() {
        let fields = [
            "host",
            "content-length",
            "authorization",
            "cookie",
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-client-cert",
            "x-request-start",
            "x-cf-process-instance",
            "x-cf-applicationid",
            "x-vcap-request-id",
            "x-vcap-trace",
            "b3",
            "traceparent",
            "tracestate",
        ];
        for field in fields {
            for named in [field.to_owned(), format!("close, {}", field.to_uppercase())] {
                let mut headers = map(&[(field, "1")]);
                headers.insert("connection", named.parse().unwrap());
                let headers = prepare(headers);
                assert!(!get(&headers, field).is_empty(), "{named}");
                assert!(!headers.contains_key("connection"));
            }
        }
    }

    #[test]
    fn a_response_loses_the_fields_its_connection_names_but_not_its_length() {
        let id = HeaderValue::from_static("router");
        let mut headers = map(&[
            ("connection", "X-Mine, content-length, x-vcap-request-id"),
            ("x-mine", "1"),
            ("x-vcap-request-id", "app"),
            ("content-length", "5"),
            ("trailer", "x-sum"),
            ("te", "trailers"),
            ("proxy-authenticate", "Basic"),
        ]);
        prepare_response(&mut headers, &id);
        assert_eq!(get(&headers, "content-length"), "5");
        assert_eq!(get(&headers, "x-vcap-request-id"), "router");
        assert_eq!(get(&headers, "trailer"), "x-sum");
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn responses_keep_the_apps_request_id() {
        let id = HeaderValue::from_static("router");
        let mut headers = map(&[("x-cf-proxy-signature", "s"), ("connection", "close")]);
        prepare_response(&mut headers, &id);
        assert_eq!(get(&headers, "x-vcap-request-id"), "router");
        assert_eq!(headers.len(), 1);
        let mut headers = map(&[("x-vcap-request-id", "app"), ("server", "app")]);
        prepare_response(&mut headers, &id);
        assert_eq!(get(&headers, "x-vcap-request-id"), "app");
        assert_eq!(get(&headers, "server"), "app");
    }

    #[test]
    fn the_size_of_a_head_excludes_the_empty_line() {
        let uri = Uri::from_static("http://shop.example/a?b");
        let headers = map(&[("host", "shop.example"), ("x", "1"), ("x", "")]);
        let bytes = "GET /a?b HTTP/1.1\r\nhost: shop.example\r\nx: 1\r\nx: \r\n";
        assert_eq!(head_size(&Method::GET, &uri, &headers), bytes.len());
    }

    #[test]
    fn upgrades_need_both_headers() {
        let both = map(&[
            ("connection", "keep-alive, UPGRADE"),
            ("upgrade", "websocket"),
        ]);
        assert_eq!(upgrade_of(&both).unwrap(), "websocket");
        assert!(upgrade_of(&map(&[("upgrade", "websocket")])).is_none());
        let other = map(&[("connection", "keep-alive"), ("upgrade", "websocket")]);
        assert!(upgrade_of(&other).is_none());
    }

    #[test]
    fn split_cookies_are_joined() {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut headers);
        assert_eq!(headers.get_all("cookie").iter().count(), 1);
        assert_eq!(get(&headers, "cookie"), "a=1; b=2");
    }

    #[test]
    fn only_safe_or_marked_requests_are_idempotent() {
        let none = HeaderMap::new();
        assert!(is_idempotent(&Method::GET, &none));
        assert!(!is_idempotent(&Method::POST, &none));
        assert!(!is_idempotent(&Method::DELETE, &none));
        let marked = map(&[("idempotency-key", "k")]);
        assert!(is_idempotent(&Method::POST, &marked));
    }
}
