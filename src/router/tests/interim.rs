//! Interim responses to the client.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use bytes::Bytes;
use http_body_util::Empty;

use super::harness::{app, door, header, ok};
use super::tls;

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-mine\r\nX-Mine: 1\r\nContent-Length: 3\r\n\r\n";

#[test]
fn early_hints_reach_the_client_before_the_final_response_exists() {
    let door = door();
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let app = app(move |mut client| {
        while client.head().is_some() {
            client.send(HINTS.as_bytes());
            wait.lock().unwrap().recv().unwrap();
            client.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Odd\r\nA: 1\r\n\r\n");
            client.send(ok("done").as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    for _ in 0..3 {
        client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        let hints = client.head().unwrap();
        assert_eq!(hints, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        go_on.send(()).unwrap();
        assert_eq!(client.head().unwrap(), "HTTP/1.1 102 Processing\r\n\r\n");
        assert_eq!(client.head().unwrap(), "HTTP/1.1 199 \r\nA: 1\r\n\r\n");
        assert_eq!(client.answer().body, "done");
        let line = door.lines.next();
        assert!(line.contains(" 200 0 4 "), "{line}");
    }
}

#[test]
fn a_fragmented_interim_response_is_relayed_complete() {
    let door = door();
    let (next, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let app = app(move |mut client| {
        client.head();
        for byte in format!("{HINTS}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").bytes() {
            client.send(&[byte]);
        }
        wait.lock().unwrap().recv().unwrap();
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 103 "));
    assert_eq!(client.answer().body, "ok");
    next.send(()).unwrap();
}

#[test]
fn pipelined_requests_get_their_interim_responses_in_order() {
    let door = door();
    let app = app(|mut client| {
        while let Some(head) = client.head() {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            client.send(format!("HTTP/1.1 103 Early Hints\r\nX: {path}\r\n\r\n").as_bytes());
            client.send(ok(&path).as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    client.send(format!("{}{}{}", get("/1"), get("/2"), get("/3")).as_bytes());
    for path in ["/1", "/2", "/3"] {
        assert_eq!(header(&client.head().unwrap(), "x"), Some(path));
        assert_eq!(client.answer().body, path);
    }
}

#[test]
fn a_slow_reader_gets_complete_messages() {
    const SIZE: usize = 8 << 20;
    let door = door();
    let app = app(|mut client| {
        while client.head().is_some() {
            client.send(HINTS.as_bytes());
            client.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes());
            client.send(&vec![b'x'; SIZE]);
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    let get = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    client.send(get.repeat(3).as_bytes());
    for _ in 0..3 {
        let mut head = client.head().unwrap();
        if head.starts_with("HTTP/1.1 103 ") {
            head = client.head().unwrap();
        }
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(client.bytes(SIZE).iter().all(|byte| *byte == b'x'));
    }
}

#[test]
fn a_100_is_relayed_once_whether_it_was_asked_for_or_not() {
    let door = door();
    let app = app(|mut client| {
        while let Some(head) = client.head() {
            client.send(b"HTTP/1.1 100 Continue\r\n\r\n");
            client.send(HINTS.as_bytes());
            if head.starts_with("POST") {
                client.bytes(4);
            }
            client.send(ok("done").as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(
        b"POST / HTTP/1.1\r\nHost: shop.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    let mut heads = [client.head().unwrap(), client.head().unwrap()];
    heads.sort();
    assert_eq!(heads[0], "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(heads[1].starts_with("HTTP/1.1 103 "), "{}", heads[1]);
    client.send(b"body");
    assert_eq!(client.answer().body, "done");

    client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert_eq!(client.head().unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 103 "));
    assert_eq!(client.answer().body, "done");
}

#[test]
fn interim_responses_precede_a_tunnel_too() {
    let door = door();
    let (go_on, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let app = app(move |mut client| {
        client.head();
        client.send(HINTS.as_bytes());
        wait.lock().unwrap().recv().unwrap();
        client.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello");
    });
    door.routes(&[("shop.test", &[app])]);
    let mut client = door.client();
    client.send(
        b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert!(client.head().unwrap().starts_with("HTTP/1.1 103 "));
    go_on.send(()).unwrap();
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.bytes(5), b"hello");
}

#[test]
fn clients_without_interim_support_get_the_final_response() {
    let door = door();
    let app = app(|mut client| {
        while client.head().is_some() {
            client.send(HINTS.as_bytes());
            client.send(ok("done").as_bytes());
        }
    });
    door.routes(&[("shop.cf.localhost", &[app])]);
    let old = door.ask("GET / HTTP/1.0\r\nHost: shop.cf.localhost\r\n\r\n");
    assert_eq!((old.status(), &*old.body), ("200", "done"));
    let request = http::Request::get("https://shop.cf.localhost/");
    let answer = tls::ask(&door, request.body(Empty::<Bytes>::new()).unwrap());
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_str()),
        (200, "done")
    );
}
