//! Long-lived bodies and tunnels: streamed without delay and without buffering.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::harness::{answering, app, door, door_with, header, ok};
use crate::net::server::Limits;
use crate::router::Settings;

#[test]
fn events_arrive_while_the_stream_is_open() {
    let door = door();
    let (next, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let app = app(move |mut client| {
        client.head();
        client.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
        for event in 0..3 {
            client.send(format!("data: {event}\n\n").as_bytes());
            wait.lock().unwrap().recv().unwrap();
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    for event in 0..3 {
        client.until(&format!("data: {event}\n\n"));
        next.send(()).unwrap();
    }
    client.until("0\r\n\r\n");
    assert!(door.lines.next().contains(" 200 0 27 "));
}

#[test]
fn bodies_stream_both_ways_at_once_under_back_pressure() {
    const SIZE: usize = 64 << 20;
    let door = door();
    // Echoes as it reads; buffers at most one chunk.
    let app = app(|mut client| {
        client.head();
        client.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes());
        let mut left = SIZE;
        while left > 0 {
            let count = left.min(65536);
            let piece = client.bytes(count);
            client.send(&piece);
            left -= count;
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(
        format!("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes(),
    );
    let mut sender = client.second();
    let sending = std::thread::spawn(move || {
        for number in 0..SIZE / 65536 {
            sender.send(&vec![u8::try_from(number % 251).unwrap(); 65536]);
        }
    });
    client.head().unwrap();
    for number in 0..SIZE / 65536 {
        let piece = client.bytes(65536);
        let expected = u8::try_from(number % 251).unwrap();
        assert!(piece.iter().all(|byte| *byte == expected), "piece {number}");
    }
    sending.join().unwrap();
    assert!(door.lines.next().contains(&format!(" 200 {SIZE} {SIZE} ")));
}

#[test]
fn a_websocket_becomes_a_tunnel_with_one_access_line() {
    let door = door();
    let app = app(|mut client| {
        let head = client.head().unwrap();
        assert_eq!(header(&head, "upgrade"), Some("websocket"), "{head}");
        assert_eq!(header(&head, "connection"), Some("Upgrade"), "{head}");
        assert_eq!(header(&head, "sec-websocket-key"), Some("k"), "{head}");
        client.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n");
        let first = client.bytes(4);
        client.send(&first);
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(b"GET /ws HTTP/1.1\r\nHost: shop.test\r\nConnection: keep-alive, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nping");
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(header(&head, "upgrade"), Some("WebSocket"));
    assert_eq!(header(&head, "sec-websocket-accept"), Some("a"));
    assert_eq!(client.bytes(4), b"ping");
    assert_eq!(door.lines.count(), 0);
    client.close();
    let line = door.lines.next();
    assert!(line.contains("\"GET /ws HTTP/1.1\" 101 4 4 "), "{line}");
}

#[test]
fn a_refused_upgrade_is_a_normal_response_and_a_wrong_one_an_error() {
    let door = door();
    let app = answering(|head| {
        if head.starts_with("GET /wrong") {
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n"
                .to_owned()
        } else {
            ok("no")
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let upgrade = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: shop.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
    };
    let mut client = door.client();
    for _ in 0..2 {
        client.send(upgrade("/no").as_bytes());
        let answer = client.answer();
        assert_eq!((answer.status(), answer.body.as_str()), ("200", "no"));
    }
    client.send(upgrade("/wrong").as_bytes());
    let wrong = client.answer();
    assert_eq!((wrong.status(), wrong.body.as_str()), ("502", ""));
}

#[test]
fn an_expect_header_is_answered_by_the_app() {
    let door = door();
    let app = app(|mut client| {
        while let Some(head) = client.head() {
            assert_eq!(header(&head, "expect"), Some("100-continue"));
            if head.starts_with("POST /no") {
                client.send(b"HTTP/1.1 417 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                break;
            }
            client.send(b"HTTP/1.1 100 Continue\r\n\r\n");
            client.bytes(4);
            client.send(ok("got it").as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: shop.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
    };
    let mut client = door.client();
    client.send(head("/").as_bytes());
    let go_on = client.head().unwrap();
    assert!(go_on.starts_with("HTTP/1.1 100 "), "{go_on}");
    client.send(b"body");
    assert_eq!(client.answer().body, "got it");

    let refused = door.ask(&head("/no"));
    assert_eq!(refused.status(), "417");
}

#[test]
fn shutdown_completes_exchanges_and_rejects_new_ones() {
    let door = door_with(Settings::default(), &Limits::default(), axum::Router::new());
    let (asked, wait_asked) = channel();
    let (go_on, wait) = channel::<()>();
    let gates = Mutex::new((asked, wait));
    let app = app(move |mut client| {
        if client.head().is_some() {
            let gates = gates.lock().unwrap();
            gates.0.send(()).unwrap();
            gates.1.recv().unwrap();
            client.send(ok("finished").as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut idle = door.client();
    let mut busy = door.client();
    busy.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    wait_asked.recv().unwrap();
    door.supervisor.token().cancel();
    assert!(idle.rest().is_empty());
    go_on.send(()).unwrap();
    let answer = busy.answer();
    assert_eq!(answer.body, "finished");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(busy.rest().is_empty());
    let ended = door.block_on(door.supervisor.shut_down(Duration::from_secs(5)));
    assert!(ended);
    assert!(std::net::TcpStream::connect(door.http).is_err());
}
