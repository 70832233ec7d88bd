//! HTTP/2 on both sides, and what happens to its connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{Empty, StreamBody};

use super::harness::{Client, Door, answering, app, at, door, header, ok};
use super::tls;
use crate::router::testing::route;
use crate::router::{Endpoint, Protocol, Table};

/// Routes a host to apps that speak HTTP/2.
fn speaking_http2(door: &Door, addresses: &[SocketAddr]) {
    let endpoints = addresses.iter().map(|address| Endpoint {
        protocol: Protocol::Http2,
        ..at(*address)
    });
    let route = route("shop.cf.localhost", "", endpoints.collect());
    door.router.swap(Table::build(vec![route]));
}

/// Asks over TLS by HTTP/2; the answer's status, version and body.
fn ask_h2(door: &Door, uri: &str) -> (u16, http::Version, String) {
    let request = http::Request::builder()
        .uri(uri)
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let (head, body) = tls::ask(door, request).into_parts();
    (head.status.as_u16(), head.version, body)
}

#[test]
fn http2_clients_reach_http1_apps() {
    let door = door();
    door.routes(&[("shop.cf.localhost", &[answering(ok)])]);
    let (status, version, head) = ask_h2(&door, "https://shop.cf.localhost:8443/p?q");
    assert_eq!((status, version), (200, http::Version::HTTP_2));
    assert!(head.starts_with("GET /p?q HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "host"), Some("shop.cf.localhost:8443"));
    assert_eq!(header(&head, "cookie"), Some("a=1; b=2"));
    assert_eq!(header(&head, "x-forwarded-proto"), Some("https"));
    let line = door.lines.next();
    assert!(line.starts_with("shop.cf.localhost:8443 - ["), "{line}");
    assert!(line.contains("\"GET /p?q HTTP/2.0\" 200 0 "), "{line}");
}

#[test]
fn apps_that_speak_http2_get_http2_in_clear_text() {
    let door = door();
    let address = door.http2_app();
    speaking_http2(&door, &[address]);
    let (status, _, body) = ask_h2(&door, "https://shop.cf.localhost/deep");
    assert_eq!(
        (status, body.as_str()),
        (200, "HTTP/2.0 shop.cf.localhost /deep")
    );
    let plain = door.ask("GET /x HTTP/1.1\r\nHost: shop.cf.localhost\r\n\r\n");
    assert_eq!(plain.body, "HTTP/2.0 shop.cf.localhost /x");
}

#[test]
fn a_call_with_trailers_passes_both_ways() {
    let door = door();
    speaking_http2(&door, &[door.http2_app()]);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let frames = [Frame::data(Bytes::from("call")), Frame::trailers(trailers)];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    let request = http::Request::builder()
        .method("POST")
        .uri("https://shop.cf.localhost/trailers")
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    let [answer] = tls::ask_all(&door, [request]).try_into().unwrap();
    // The app answers with what came behind the body, and with trailers of its own.
    assert_eq!(answer.body(), "trailers call 42");
    let trailers = answer.extensions().get::<HeaderMap>().expect("trailers");
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
}

#[test]
fn the_preface_of_http2_is_no_request_without_tls() {
    let door = door();
    let mut client = door.client();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(client.rest().is_empty(), "the connection is closed");
}

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// `200` without a body: static entry 8 of HPACK, which ends head and stream.
fn ok_frame(stream: u32) -> Vec<u8> {
    frame(HEADERS, 5, stream, &[0x88])
}

/// An app that speaks raw HTTP/2 frames; `answer` gets the number of the connection, the client, and
/// the number of the stream with a request. It ends the connection by returning false.
fn raw_http2(
    answer: impl Fn(usize, &mut Client, u32) -> bool + Send + Sync + 'static,
) -> SocketAddr {
    let connections = AtomicUsize::new(0);
    app(move |mut client| {
        let number = connections.fetch_add(1, Ordering::Relaxed);
        let Some(_preface) = client.try_bytes(24) else {
            return;
        };
        client.send(&frame(SETTINGS, 0, 0, &[]));
        while let Some(head) = client.try_bytes(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let Some(_payload) = client.try_bytes(usize::try_from(length).unwrap()) else {
                return;
            };
            match head[3] {
                SETTINGS if head[4] & 1 == 0 => client.send(&frame(SETTINGS, 1, 0, &[])),
                HEADERS if !answer(number, &mut client, stream) => return,
                _ => {}
            }
        }
    })
}

const GET: &str = "GET / HTTP/1.1\r\nHost: shop.cf.localhost\r\n\r\n";

#[test]
fn a_connection_that_the_app_gives_up_is_replaced() {
    const GOAWAY: u8 = 7;
    const RST_STREAM: u8 = 3;
    const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
    /// Gives up a connection, given the client and the stream of the request.
    type GiveUp = fn(&mut Client, u32);
    let ways: [(&str, GiveUp); 3] = [
        ("go away", |client, _| {
            client.send(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
        }),
        ("refused", |client, stream| {
            client.send(&frame(RST_STREAM, 0, stream, &REFUSED_STREAM));
        }),
        ("closed", |_, _| {}),
    ];
    for (name, give_up) in ways {
        let door = door();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let app = raw_http2(move |connection, client, stream| {
            counted.fetch_add(1, Ordering::Relaxed);
            let is_given_up = connection == 0 && stream > 1;
            if is_given_up {
                give_up(client, stream);
            } else {
                client.send(&ok_frame(stream));
            }
            !is_given_up
        });
        speaking_http2(&door, &[app]);
        // On one connection, so that one thread of the router serves both.
        let mut client = door.client();
        for _ in 0..2 {
            client.send(GET.as_bytes());
            assert_eq!(client.answer().status(), "200", "{name}");
        }
        assert_eq!(requests.load(Ordering::Relaxed), 3, "{name}");
    }
}

#[test]
fn a_request_that_http2_did_not_take_goes_elsewhere_as_http1() {
    let door = door();
    let app = raw_http2(|_, _, _| false);
    let endpoints = vec![
        Endpoint {
            protocol: Protocol::Http2,
            ..at(app)
        },
        at(answering(ok)),
    ];
    door.router.swap(Table::build(vec![route(
        "shop.cf.localhost",
        "",
        endpoints,
    )]));
    for _ in 0..2 {
        let answer = door.ask(GET);
        assert_eq!(answer.status(), "200", "{answer:?}");
        assert!(answer.body.starts_with("GET / HTTP/1.1\r\n"), "{answer:?}");
        assert_eq!(header(&answer.body, "host"), Some("shop.cf.localhost"));
    }
}
