//! Failures of apps and clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::testing::route;
use super::harness::{answering, app, at, door, door_with, nobody, ok};
use crate::net::server::Limits;
use crate::router::{Endpoint, Protocol, Settings, Table};

const GET: &str = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n";
const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn unknown_hosts_and_empty_routes_are_distinguished() {
    let door = door();
    door.routes(&[("empty.test", &[])]);
    let unknown = door.ask("GET / HTTP/1.1\r\nHost: No.test:80\r\n\r\n");
    assert_eq!(unknown.status(), "404");
    assert_eq!(
        unknown.body,
        "404 Not Found: Requested route ('No.test:80') does not exist.\n"
    );
    assert_eq!(unknown.header("x-cf-routererror"), Some("unknown_route"));
    assert_eq!(unknown.header("cache-control"), Some("no-cache, no-store"));
    assert_eq!(
        unknown.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(unknown.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(door.lines.count(), 0);

    let empty = door.ask("GET / HTTP/1.1\r\nHost: empty.test\r\n\r\n");
    assert_eq!(empty.status(), "503");
    assert_eq!(empty.header("x-cf-routererror"), Some("no_endpoints"));
    let line = door.lines.next();
    assert!(
        line.ends_with("x_cf_routererror:\"no_endpoints\""),
        "{line}"
    );

    let mut client = door.client();
    client.send(b"GET / HTTP/1.1\r\n\r\n");
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(
        text.ends_with("400 Bad Request: missing required Host header"),
        "{text}"
    );
    let old = door.ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.header("x-cf-routererror"), Some("empty_host"));
}

#[test]
fn a_refused_connection_is_retried_elsewhere_also_with_a_body() {
    let door = door();
    let app = app(|mut client| {
        while client.head().is_some() {
            client.bytes(4);
            client.send(ok("took it").as_bytes());
        }
    });
    door.routes(&[("shop.test", &[nobody(), app])]);
    for _ in 0..4 {
        let post = "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(door.ask(post).body, "took it");
    }
    let failed = door.router.table();
    let pool = failed.find("shop.test", "/").unwrap();
    let now = crate::base::Clock::now(&crate::base::SystemClock);
    assert!(pool.endpoints[0].is_failed(now));
    assert!(!pool.endpoints[1].is_failed(now));
}

#[test]
fn the_cause_is_reported_if_no_endpoint_answers() {
    let door = door();
    let nobody = nobody();
    door.routes(&[("shop.test", &[nobody])]);
    let answer = door.ask(GET);
    assert_eq!(answer.status(), "502");
    assert_eq!(
        answer.body,
        "502 Bad Gateway: Registered endpoint failed to handle the request.\n"
    );
    let expected = format!("endpoint_failure (dial tcp {nobody}: connect: connection refused)");
    assert_eq!(answer.header("x-cf-routererror"), Some(&*expected));
    assert_eq!(answer.header("x-vcap-request-id"), None);
    assert!(
        door.lines
            .next()
            .contains(&format!("x_cf_routererror:\"{expected}\""))
    );
}

#[test]
fn a_connection_closed_before_the_response_is_retried_if_safe() {
    let door = door();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let dying = app(move |mut client| {
        if client.head().is_some() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let healthy = answering(|_| ok("alive"));
    door.routes(&[("shop.test", &[dying, healthy])]);
    for _ in 0..4 {
        assert_eq!(door.ask(GET).body, "alive");
    }
    assert!(asked.load(Ordering::SeqCst) > 0);

    door.routes(&[("shop.test", &[dying])]);
    let post = door.ask("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(post.status(), "502");
    assert_eq!(
        post.header("x-cf-routererror"),
        Some("endpoint_failure (EOF)")
    );
}

#[test]
fn a_stale_pooled_connection_is_replaced() {
    let door = door();
    // Answers one request per connection, then closes without `Connection: close`.
    let app = app(|mut client| {
        if client.head().is_some() {
            client.send(ok("once").as_bytes());
        }
        client.close();
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    for _ in 0..20 {
        client.send(GET.as_bytes());
        assert_eq!(client.answer().body, "once");
    }
}

#[test]
fn garbage_is_a_bad_gateway() {
    let door = door();
    let app = app(|mut client| {
        client.head();
        client.send(b"garbage\r\n\r\n");
        client.close();
    });
    door.routes(&[("shop.test", &[app])]);
    let answer = door.ask(GET);
    assert_eq!(answer.status(), "502");
    let error = answer.header("x-cf-routererror").unwrap();
    assert!(error.starts_with("endpoint_failure ("), "{error}");
}

#[test]
fn a_truncated_response_is_truncated_for_the_client_and_logged() {
    let door = door();
    let (seen, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let app = app(move |mut client| {
        client.head();
        client.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
        wait.lock().unwrap().recv().unwrap();
        client.close();
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(GET.as_bytes());
    client.until("\r\n\r\nabc");
    seen.send(()).unwrap();
    assert!(client.rest().is_empty());
    assert!(door.lines.next().contains(" 200 0 3 "));
}

#[test]
fn a_silent_app_runs_into_the_timeout() {
    let settings = Settings {
        request_timeout: Duration::from_millis(50),
        ..Settings::default()
    };
    let door = door_with(settings, &Limits::default(), axum::Router::new());
    let app = app(|mut client| {
        client.rest();
    });
    door.routes(&[("shop.test", &[app])]);
    let answer = door.ask(GET);
    assert_eq!(answer.status(), "502");
    let error = answer.header("x-cf-routererror");
    assert_eq!(error, Some("endpoint_failure (context deadline exceeded)"));
}

#[test]
fn a_body_that_stalls_runs_into_the_timeout_over_both_protocols() {
    let settings = Settings {
        request_timeout: Duration::from_millis(300),
        ..Settings::default()
    };
    let door = door_with(settings, &Limits::default(), axum::Router::new());
    let http1 = app(|mut client| {
        client.head();
        client.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
        client.rest();
    });
    let http2 = Endpoint {
        protocol: Protocol::Http2,
        ..at(door.http2_app())
    };
    for endpoint in [at(http1), http2] {
        let route = route("shop.test", "", vec![endpoint]);
        door.router.swap(Table::build(vec![route]));
        let mut client = door.client();
        client.send(b"GET /stall HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        let all = String::from_utf8(client.rest()).unwrap();
        assert!(
            all.starts_with("HTTP/1.1 200 ") && all.contains("abc"),
            "{all}"
        );
        assert!(!all.ends_with("0\r\n\r\n"), "the end is not faked: {all}");
        assert!(door.lines.next().contains(" 200 0 3 "));
    }
}

#[test]
fn an_instance_has_as_many_requests_as_it_may_have() {
    let settings = Settings {
        instance_requests: Some(1),
        ..Settings::default()
    };
    let door = door_with(settings, &Limits::default(), axum::Router::new());
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let (arrived, seen) = std::sync::mpsc::channel();
    let arrived = std::sync::Mutex::new(arrived);
    let app = app(move |mut client| {
        while client.head().is_some() {
            arrived.lock().unwrap().send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            client.send(ok("done").as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut first = door.client();
    first.send(GET.as_bytes());
    seen.recv().unwrap();
    for request in [GET, UPGRADE] {
        let refused = door.ask(request);
        assert_eq!(refused.status(), "503");
        let error = refused.header("x-cf-routererror");
        assert_eq!(error, Some("Connection Limit Reached"));
        let text = "503 Service Unavailable: Requested route ('shop.test') has reached the \
            connection limit.\n";
        assert_eq!(refused.body, text);
    }
    go.send(()).unwrap();
    assert_eq!(first.answer().body, "done");
    go.send(()).unwrap();
    assert_eq!(door.ask(GET).body, "done");
}

#[test]
fn a_client_that_leaves_is_logged_as_499() {
    let door = door();
    let (reported, asked) = std::sync::mpsc::channel();
    let reported = std::sync::Mutex::new(reported);
    let app = app(move |mut client| {
        client.head();
        reported.lock().unwrap().send(()).unwrap();
        client.rest();
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(GET.as_bytes());
    asked.recv().unwrap();
    client.close();
    let line = door.lines.next();
    assert!(line.contains(" HTTP/1.1\" 499 0 22 "), "{line}");
    assert!(
        line.contains("x_cf_routererror:\"endpoint_failure (context canceled)\""),
        "{line}"
    );
}

#[test]
fn smuggling_is_refused() {
    let door = door();
    door.routes(&[("shop.test", &[answering(ok)])]);
    let mut client = door.client();
    client.send(
        b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    );
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    let endless = format!(
        "GET / HTTP/1.1\r\nHost: shop.test\r\nX: {}\r\n\r\n",
        "x".repeat(2 << 20)
    );
    let mut client = door.client();
    client.send(endless.as_bytes());
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
}

#[test]
fn an_endless_request_head_is_rejected() {
    let limits = Limits {
        header_read: Duration::from_millis(20),
        tick: Duration::from_millis(5),
        ..Limits::default()
    };
    let door = door_with(Settings::default(), &limits, axum::Router::new());
    let mut client = door.client();
    client.send(b"GET / HTTP/1.1\r\nHost:");
    assert!(client.rest().is_empty());
}

#[test]
fn a_request_in_progress_never_reaches_a_withdrawn_endpoint() {
    let door = door();
    let (taken, is_taken) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new((taken, released));
    // Accepts the request, waits, and closes without a response: a GET is retried elsewhere.
    let first = app(move |mut client| {
        let gate = gate.lock().unwrap();
        client.head();
        gate.0.send(()).unwrap();
        gate.1.recv().unwrap();
        client.close();
    });
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = hits.clone();
    // Its instance ends meanwhile; another app now listens at the address.
    let reused = answering(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        ok("another app")
    });
    door.routes(&[("shop.test", &[first, reused])]);
    let mut client = door.client();
    client.send(GET.as_bytes());
    is_taken.recv().unwrap();
    let other = Endpoint {
        instance_guid: "other".into(),
        ..at(reused)
    };
    let routes = vec![route("other.test", "", vec![other])];
    door.router.swap(Table::build(routes));
    release.send(()).unwrap();
    let answer = client.answer();
    assert_eq!(answer.status(), "502", "{}", answer.body);
    assert_eq!(
        answer.header("x-cf-routererror"),
        Some("endpoint_failure (EOF)")
    );
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}
