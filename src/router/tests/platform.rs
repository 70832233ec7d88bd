//! The platform's host names go to the platform, even if a route claims them.

use std::time::Duration;

use axum::Extension;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;

use super::harness::{Door, answering, door_of, ok};
use super::tls;
use crate::net::server::{BoxError, Limits};
use crate::net::slow_body::BodyLimits;
use crate::net::{RequestBase, RequestId};
use crate::router::Settings;

async fn base(
    Extension(base): Extension<RequestBase>,
    Extension(id): Extension<RequestId>,
) -> String {
    format!("{} {}", base.origin(), id.as_str().len())
}

async fn length(body: Bytes) -> String {
    body.len().to_string()
}

fn platform_door() -> Door {
    platform_door_with(BodyLimits::default())
}

fn platform_door_with(body_limits: BodyLimits) -> Door {
    let platform = axum::Router::new()
        .route("/base", get(base))
        .route("/length", post(length))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let door = door_of(
        Settings::default(),
        &Limits::default(),
        platform,
        body_limits,
    );
    let app = answering(|_| ok("app"));
    door.routes(&[("*.cf.localhost", &[app]), ("localhost", &[app])]);
    door
}

#[test]
fn platform_hosts_reach_the_platform_with_their_request_base() {
    let door = platform_door();
    for host in ["api.cf.localhost:8080", "localhost:8080", "127.0.0.1"] {
        let answer = door.ask(&format!("GET /base HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.body, format!("http://{host} 36"));
        assert_eq!(answer.header("x-vcap-request-id").map(str::len), Some(36));
    }
    let app = door.ask("GET /base HTTP/1.1\r\nHost: shop.cf.localhost\r\n\r\n");
    assert_eq!(app.body, "app");
}

#[test]
fn an_unknown_host_finds_nothing() {
    let door = platform_door();
    let answer = door.ask("GET /base HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(answer.status(), "404");
    let answer = door.ask(
        "POST /length HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(answer.status(), "403");
}

#[test]
fn uploads_reach_the_platform_completely() {
    const SIZE: usize = 5_000_000;
    let door = platform_door();
    let mut client = door.client();
    client.send(
        format!("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n")
            .as_bytes(),
    );
    client.send(&vec![b'x'; SIZE]);
    assert_eq!(client.answer().body, SIZE.to_string());
}

/// Aborts a body at the first delay.
fn strict_limits() -> BodyLimits {
    BodyLimits {
        stall: Duration::from_millis(1),
        ..BodyLimits::default()
    }
}

#[test]
fn a_stalled_body_is_aborted_and_the_connection_closed() {
    let door = platform_door_with(strict_limits());
    for framing in [
        "Content-Length: 9\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut client = door.client();
        client.send(format!("POST /length HTTP/1.1\r\nHost: localhost\r\n{framing}").as_bytes());
        let answer = client.answer();
        assert_eq!(
            (answer.status(), answer.body.as_str()),
            ("408", "/length was too slow")
        );
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("x-vcap-request-id").map(str::len), Some(36));
        assert!(client.rest().is_empty());
    }
}

#[test]
fn a_stalled_http2_body_costs_its_stream_alone() {
    type Body =
        StreamBody<futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, BoxError>>>;
    let request = |method: &str, path: &str, body: Body| {
        http::Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .body(body)
            .unwrap()
    };
    let none = || StreamBody::new(Box::pin(futures_util::stream::empty()) as _);
    let silent = StreamBody::new(Box::pin(futures_util::stream::pending()) as _);
    let door = platform_door_with(strict_limits());
    let requests = [
        request("POST", "/length", silent),
        request("GET", "/base", none()),
    ];
    let answers = tls::ask_all(&door, requests);
    let answers: Vec<_> = answers
        .iter()
        .map(|answer| {
            let first = answer.body().split(' ').next().unwrap();
            (answer.status().as_u16(), first)
        })
        .collect();
    assert_eq!(answers, [(408, "/length"), (200, "https://localhost")]);
}

#[test]
fn a_response_that_needs_no_body_does_not_wait_for_it() {
    let door = platform_door();
    let mut client = door.client();
    client.send(b"POST /base HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(client.answer().status(), "405");
    assert!(client.rest().is_empty());
}
