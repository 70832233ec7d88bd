//! Heads of requests and responses with many and with long fields.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;

use super::harness::{answering, app, door, door_with, header, ok};
use super::tls;
use crate::net::server::{Limits, MAX_HEAD};
use crate::router::{Protocol, Settings, Table};

fn fields(count: usize) -> String {
    (0..count).fold(String::new(), |mut all, number| {
        write!(all, "x-{number}: {number}\r\n").unwrap();
        all
    })
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: shop.test\r\n{fields}\r\n")
}

/// An app that returns how many `x-` fields it got.
fn counting() -> std::net::SocketAddr {
    answering(|head| {
        let count = head.lines().filter(|line| line.starts_with("X-")).count();
        ok(&count.to_string())
    })
}

/// Fields the router adds whose names begin with `X-`.
const ADDED: usize = 7;

#[test]
fn a_request_may_have_many_fields_and_the_next_one_too() {
    let door = door();
    door.routes(&[("shop.test", &[counting()])]);
    for count in [92, 93, 99, 100, 101, 150, 5000] {
        assert_eq!(
            door.ask(&get(&fields(count))).body,
            (count + ADDED).to_string()
        );
    }
    let mut client = door.client();
    for count in [1, 150, 1, 300, 99] {
        client.send(get(&fields(count)).as_bytes());
        assert_eq!(client.answer().body, (count + ADDED).to_string());
    }
}

#[test]
fn a_large_request_may_be_pipelined_and_have_a_body() {
    let door = door();
    let app = app(|mut client| {
        while let Some(head) = client.head() {
            let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
            let body = String::from_utf8(client.bytes(length)).unwrap();
            client.send(ok(&format!("{}:{body}", head.lines().count() > 100)).as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    let post = |count: usize, body: &str| {
        let fields = fields(count);
        let length = body.len();
        format!(
            "POST / HTTP/1.1\r\nHost: shop.test\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        )
    };
    client.send(format!("{}{}{}", post(1, "one"), post(200, "two"), post(1, "three")).as_bytes());
    for expected in ["false:one", "true:two", "false:three"] {
        assert_eq!(client.answer().body, expected);
    }
}

#[test]
fn the_bound_of_a_request_is_a_mebibyte_of_head() {
    let door = door();
    door.routes(&[("shop.test", &[counting()])]);
    let head = "GET / HTTP/1.1\r\nHost: shop.test\r\nX: \r\n";
    let long = |length: usize| get(&format!("X: {}\r\n", "x".repeat(length - head.len())));
    assert_eq!(door.ask(&long(MAX_HEAD - 1)).body, "7");
    door.lines.next();

    let refused = door.ask(&long(MAX_HEAD));
    assert_eq!((refused.status(), &*refused.body), ("431", ""));
    let error = refused.header("x-cf-routererror");
    assert_eq!(error, Some("max-request-size-exceeded"));
    assert_eq!(refused.header("content-type"), None);
    let line = door.lines.next();
    assert!(line.contains(" 431 0 0 "), "{line}");
    assert!(
        line.ends_with("x_cf_routererror:\"max-request-size-exceeded\""),
        "{line}"
    );
    let unknown = long(MAX_HEAD + 8).replacen("shop.test", "no.test", 1);
    assert_eq!(door.ask(&unknown).status(), "404");

    let mut client = door.client();
    client.send(long(MAX_HEAD + 8192).as_bytes());
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\r\n\r\n431 Request Header Fields Too Large"),
        "{text}"
    );
    assert_eq!(door.lines.count(), 0);
}

#[test]
fn the_platform_has_the_same_limits_as_apps() {
    let platform = axum::Router::new().fallback(async |headers: http::HeaderMap| {
        headers
            .keys()
            .filter(|name| name.as_str().starts_with("x-"))
            .count()
            .to_string()
    });
    let door = door_with(Settings::default(), &Limits::default(), platform);
    let ask = |fields: &str| {
        door.ask(&format!(
            "GET / HTTP/1.1\r\nHost: api.cf.localhost\r\n{fields}\r\n"
        ))
    };
    assert_eq!(ask(&fields(150)).body, "151");
    assert_eq!(
        ask(&format!("X: {}\r\n", "x".repeat(MAX_HEAD))).status(),
        "431"
    );
}

#[test]
fn an_apps_own_431_reaches_the_client() {
    let door = door();
    let app = answering(|head| {
        let (close, body) = match header(head, "x-how") {
            Some("close") => ("Connection: close\r\n", ""),
            Some("body") => ("", "no"),
            _ => ("", ""),
        };
        let length = body.len();
        format!(
            "HTTP/1.1 431 Mine\r\n{close}Content-Length: {length}\r\nX-Vcap-Request-Id: i\r\n\r\n{body}"
        )
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    for how in ["empty", "body", "empty", "body"] {
        client.send(get(&format!("X-How: {how}\r\n")).as_bytes());
        let answer = client.answer();
        assert_eq!(answer.status(), "431");
        assert_eq!(answer.body, if how == "body" { "no" } else { "" });
    }
    let mut old = door.client();
    old.send(b"GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n");
    let text = String::from_utf8(old.rest()).unwrap();
    assert!(text.starts_with("HTTP/1.0 431 "), "{text}");
}

#[test]
fn a_response_with_many_fields_keeps_its_connection() {
    let connections = Arc::new(AtomicU32::new(0));
    let counted = connections.clone();
    let door = door();
    let app = app(move |mut client| {
        counted.fetch_add(1, Ordering::Relaxed);
        while client.head().is_some() {
            let head = format!(
                "HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\n",
                fields(150)
            );
            client.send(head.as_bytes());
            client.send(b"hi");
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    for _ in 0..3 {
        client.send(get("").as_bytes());
        assert_eq!(client.answer().body, "hi");
        // Time for an end of the connection to arrive.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[test]
fn a_response_may_have_many_fields_whatever_the_request_was() {
    let door = door();
    let app = app(|mut client| {
        while let Some(head) = client.head() {
            if head.starts_with("POST") {
                client.bytes(4);
            }
            let count = header(&head, "x-count").unwrap().parse().unwrap();
            let head_only = head.starts_with("HEAD");
            let body = if head_only { "" } else { "hi" };
            client.send(
                format!(
                    "HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\n{body}",
                    fields(count)
                )
                .as_bytes(),
            );
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    for count in [99, 100, 101, 1, 150, 2, 5000] {
        for (method, body) in [("GET", ""), ("POST", "body"), ("HEAD", "")] {
            let length = body.len();
            client.send(format!("{method} / HTTP/1.1\r\nHost: shop.test\r\nX-Count: {count}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
            let head = client.head().unwrap();
            assert!(
                head.starts_with("HTTP/1.1 200 OK\r\n"),
                "{method} {count}: {head}"
            );
            assert_eq!(head.matches("\r\nX-").count(), count + 1);
            if method != "HEAD" {
                assert_eq!(client.bytes(2), b"hi");
            }
        }
    }
}

#[test]
fn an_early_large_response_is_relayed_and_its_connection_closed() {
    let door = door();
    let app = app(|mut client| {
        let head = client.head().unwrap();
        if head.starts_with("POST") {
            client.send(
                format!(
                    "HTTP/1.1 413 No\r\n{}content-length: 2\r\n\r\nno",
                    fields(200)
                )
                .as_bytes(),
            );
            client.rest();
        } else {
            client.send(ok("fine").as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000\r\n\r\nbegin");
    let answer = client.answer();
    assert_eq!((answer.status(), &*answer.body), ("413", "no"));
    assert_eq!(door.ask(&get("")).body, "fine");
}

#[test]
fn a_tunnel_response_may_have_many_fields() {
    let door = door();
    let app = app(|mut client| {
        client.head();
        client.send(format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{}\r\nhello", fields(150)).as_bytes());
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(get("Connection: upgrade\r\nUpgrade: websocket\r\n").as_bytes());
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.bytes(5), b"hello");
}

#[test]
fn the_bound_of_a_response_is_ten_mebibytes_of_head() {
    const LIMIT: usize = 10 << 20;
    let door = door();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: \r\n\r\n";
    let app = answering(move |request| {
        let length: usize = header(request, "x-length").unwrap().parse().unwrap();
        let value = "x".repeat(length - head.len());
        format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: {value}\r\n\r\n")
    });
    door.routes(&[("shop.test", &[app])]);
    let ask = |length: usize| door.ask(&get(&format!("X-Length: {length}\r\n")));
    assert_eq!(ask(500 << 10).status(), "200");
    assert_eq!(ask(LIMIT).status(), "200");
    let refused = ask(LIMIT + 1);
    assert_eq!(refused.status(), "502");
    assert_eq!(
        refused.header("x-cf-routererror"),
        Some(
            "endpoint_failure (net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 10485760 bytes; aborted)"
        )
    );
}

#[test]
fn http2_has_the_same_bounds() {
    let door = door();
    let app = answering(|head| {
        let count = head.lines().filter(|line| line.starts_with("X-")).count();
        let body = count.to_string();
        format!(
            "HTTP/1.1 200 OK\r\n{}content-length: {}\r\n\r\n{body}",
            fields(300),
            body.len()
        )
    });
    door.routes(&[("shop.cf.localhost", &[app])]);
    let ask = |count: usize, length: usize| {
        let mut request = http::Request::get("https://shop.cf.localhost/");
        for number in 0..count {
            request = request.header(format!("x-{number}"), "x".repeat(length));
        }
        tls::ask(&door, request.body(Empty::<Bytes>::new()).unwrap())
    };
    let answer = ask(500, 100);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body(), &(500 + ADDED).to_string());
    let got = answer
        .headers()
        .keys()
        .filter(|name| name.as_str().starts_with("x-"))
        .count();
    assert_eq!(got, 301);
    assert_eq!(ask(12, 80 << 10).status(), 200);
    assert_eq!(ask(14, 80 << 10).status(), 431);
}

#[test]
fn tls_clients_have_the_same_bounds() {
    let door = door();
    let app = answering(|head| {
        let count = head.lines().filter(|line| line.starts_with("X-")).count();
        format!("HTTP/1.1 103 Early Hints\r\n\r\n{}", ok(&count.to_string()))
    });
    door.routes(&[("shop.cf.localhost", &[app])]);
    let get = |fields: &str| {
        format!("GET / HTTP/1.1\r\nHost: shop.cf.localhost\r\n{fields}Connection: close\r\n\r\n")
    };
    let text = tls::ask_http1(&door, &get(&fields(150)));
    assert!(
        text.starts_with("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\n157"), "{text}");
    let text = tls::ask_http1(
        &door,
        &get(&format!("X: {}\r\n", "x".repeat(MAX_HEAD + 8192))),
    );
    assert!(
        text.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        "{text}"
    );
    assert!(
        text.ends_with("431 Request Header Fields Too Large"),
        "{text}"
    );
}

#[test]
fn apps_that_speak_http2_have_the_same_bounds() {
    let door = door();
    let mut endpoint = super::harness::at(door.http2_app());
    endpoint.protocol = Protocol::Http2;
    let route = crate::router::testing::route("shop.test", "", vec![endpoint]);
    door.router.swap(Table::build(vec![route]));
    let large = door.ask("GET /large HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert_eq!(large.status(), "200");
    assert_eq!(large.head.matches("\r\nX-Large: ").count(), 20);
    assert_eq!(door.ask(&get(&fields(150))).status(), "200");
}
