//! Requests and responses as both sides see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::harness::{Client, answering, app, door, header, ok};

#[test]
fn an_app_gets_the_request_unchanged_and_an_access_line_is_written() {
    let door = door();
    let app = answering(ok);
    door.routes(&[("shop.test", &[app])]);
    let answer = door.ask(
        "GET /a%2Fb//c?x=%20&y HTTP/1.1\r\nHost: Shop.TEST:81\r\nX-Forwarded-For: 9.9.9.9\r\nUser-Agent: me\r\n\r\n",
    );
    assert_eq!(answer.status(), "200");
    let head = &answer.body;
    assert!(
        head.starts_with("GET /a%2Fb//c?x=%20&y HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(header(head, "host"), Some("Shop.TEST:81"));
    assert_eq!(header(head, "x-forwarded-for"), Some("9.9.9.9, 127.0.0.1"));
    assert_eq!(header(head, "x-forwarded-proto"), Some("http"));
    assert!(head.contains("X-Cf-Applicationid: app-guid\r\n"), "{head}");
    let id = header(head, "x-vcap-request-id").unwrap();
    assert_eq!(answer.header("x-vcap-request-id"), Some(id));
    assert!(answer.header("date").is_some());

    let line = door.lines.next();
    let length = answer.body.len();
    let port = app.port();
    assert!(line.starts_with("Shop.TEST:81 - ["), "{line}");
    let middle =
        format!("\"GET /a%2Fb//c?x=%20&y HTTP/1.1\" 200 0 {length} \"-\" \"me\" \"127.0.0.1:");
    assert!(line.contains(&middle), "{line}");
    let tail = format!(
        "\"127.0.0.1:{port}\" x_forwarded_for:\"9.9.9.9, 127.0.0.1\" x_forwarded_proto:\"http\" vcap_request_id:\"{id}\" response_time:0."
    );
    assert!(line.contains(&tail), "{line}");
    assert!(line.ends_with(&format!(
        "app_id:\"app-guid\" app_index:\"0\" instance_id:\"instance-{port}\" x_cf_routererror:\"-\""
    )));
}

#[test]
fn connections_to_apps_are_kept_and_spread_by_rotation() {
    let door = door();
    let dialled = Arc::new(AtomicUsize::new(0));
    let apps = [(); 2].map(|()| {
        let dialled = dialled.clone();
        app(move |mut client: Client| {
            dialled.fetch_add(1, Ordering::SeqCst);
            let port = client_port(&client);
            while client.head().is_some() {
                client.send(ok(&port).as_bytes());
            }
        })
    });
    door.routes(&[("shop.test", &apps)]);
    let mut client = door.client();
    let mut answers = Vec::new();
    for _ in 0..8 {
        client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        answers.push(client.answer().body);
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] != pair[1]),
        "{answers:?}"
    );
    assert_eq!(dialled.load(Ordering::SeqCst), 2);
}

fn client_port(client: &Client) -> String {
    client.local_port().to_string()
}

#[test]
fn a_body_goes_to_the_app_with_its_framing() {
    let door = door();
    let app = app(|mut client| {
        while let Some(head) = client.head() {
            let body = match header(&head, "content-length") {
                Some(length) => client.bytes(length.parse().unwrap()),
                None => client.until("0\r\n\r\n").into_bytes(),
            };
            let response = format!("{head}{}", String::from_utf8(body).unwrap());
            client.send(ok(&response).as_bytes());
        }
    });
    door.routes(&[("shop.test", &[app])]);
    let sized = door.ask("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhello");
    assert!(sized.body.ends_with("\r\n\r\nhello"), "{}", sized.body);
    let line = door.lines.next();
    assert!(
        line.contains(&format!("\" 200 5 {} ", sized.body.len())),
        "{line}"
    );

    let chunked = door.ask(
        "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    assert_eq!(header(&chunked.body, "transfer-encoding"), Some("chunked"));
    assert!(chunked.body.contains("hello"), "{}", chunked.body);
}

#[test]
fn responses_keep_their_framing() {
    let door = door();
    let app = answering(|head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        match path {
            "/chunked" => "HTTP/1.1 200 Fine\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "/none" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/moved" => "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
            "/head" => "HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n",
            _ => "HTTP/1.1 500 Oh\r\nserver: app\r\nkeep-alive: timeout=1\r\nx-cf-proxy-signature: s\r\ncontent-length: 2\r\n\r\nno",
        }
        .to_owned()
    });
    door.routes(&[("shop.test", &[app])]);
    let get = |path: &str| door.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n"));

    let chunked = get("/chunked");
    assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
    assert_eq!(chunked.body, "abc");
    assert_eq!(chunked.header("content-type"), None);
    let none = get("/none");
    assert_eq!(none.status(), "204");
    assert_eq!(none.header("content-length"), None);
    let moved = get("/moved");
    assert_eq!(
        (moved.status(), moved.header("location")),
        ("302", Some("/x"))
    );
    let error = get("/");
    assert_eq!((error.status(), error.body.as_str()), ("500", "no"));
    assert_eq!(error.header("server"), Some("app"));
    assert_eq!(error.header("keep-alive"), None);
    assert_eq!(error.header("x-cf-proxy-signature"), None);

    let mut client = door.client();
    client.send(b"HEAD /head HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    let head = client.head().unwrap();
    assert_eq!(header(&head, "content-length"), Some("77"));
    client.send(b"GET /moved HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    assert_eq!(client.answer().status(), "302");
}

#[test]
fn absolute_form_http_1_0_and_options_star_work() {
    let door = door();
    let app = answering(ok);
    door.routes(&[("shop.test", &[app])]);
    let absolute = door.ask("GET http://shop.test/x HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert!(
        absolute.body.starts_with("GET http://shop.test/x HTTP/1.1"),
        "{}",
        absolute.body
    );
    assert_eq!(header(&absolute.body, "host"), Some("shop.test"));
    let old = door.ask("GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n");
    assert_eq!(old.status(), "200");
    assert!(old.body.starts_with("GET / HTTP/1.1\r\n"));
    assert!(door.lines.next().contains("\"GET /x HTTP/1.1\""));
    assert!(door.lines.next().contains("\"GET / HTTP/1.0\""));
    let star = door.ask("OPTIONS * HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(star.status(), "200");
}

#[test]
fn instances_can_be_selected_by_header() {
    const GUID: &str = "0f7a3c2e-1111-4222-8333-abcdefabcdef";
    let door = door();
    let apps = [answering(|_| ok("zero")), answering(|_| ok("one"))];
    let endpoints = apps
        .iter()
        .zip(0..)
        .map(|(address, index)| {
            let mut endpoint = super::harness::at(*address);
            endpoint.app_guid = GUID.into();
            endpoint.index = index;
            endpoint
        })
        .collect();
    let route = crate::router::testing::route("shop.test", "", endpoints);
    door.router.swap(crate::router::Table::build(vec![route]));
    let ask = |value: &str| {
        door.ask(&format!(
            "GET / HTTP/1.1\r\nHost: shop.test\r\nX-CF-App-Instance: {value}\r\n\r\n"
        ))
    };
    for _ in 0..3 {
        assert_eq!(ask(&format!("{GUID}:1")).body, "one");
    }
    let unknown = ask(&format!("{GUID}:7"));
    assert_eq!(unknown.status(), "400");
    assert_eq!(unknown.header("x-cf-routererror"), Some("unknown_route"));
    let malformed = ask("mine");
    let error = malformed.header("x-cf-routererror");
    assert_eq!(error, Some("invalid_cf_app_instance_header"));
}

#[test]
fn a_parked_connection_wakes_up_with_what_is_sent() {
    let limits = crate::net::server::Limits {
        park: std::time::Duration::from_millis(1),
        tick: std::time::Duration::from_millis(5),
        ..Default::default()
    };
    let door = super::harness::door_with(
        crate::router::Settings::default(),
        &limits,
        axum::Router::new(),
    );
    door.routes(&[("shop.test", &[answering(|_| ok("hi"))])]);
    let mut client = door.client();
    for _ in 0..4 {
        client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
        assert_eq!(client.answer().body, "hi");
        std::thread::sleep(std::time::Duration::from_millis(40));
        // In two pieces, with a pause in which the half-read head must not be lost.
        client.send(b"GET / HTTP/1.1\r\nHo");
        std::thread::sleep(std::time::Duration::from_millis(40));
        client.send(b"st: shop.test\r\n\r\n");
        assert_eq!(client.answer().body, "hi");
    }
}

#[test]
fn connection_removes_fields_but_not_the_host() {
    let door = door();
    door.routes(&[("shop.test", &[answering(ok)])]);
    let head = door
        .ask("POST / HTTP/1.1\r\nHost: shop.test\r\nConnection: keep-alive, host, content-length, x-mine\r\nConnection: Authorization, X-Vcap-Request-Id\r\nAuthorization: a\r\nX-Mine: 1\r\nContent-Length: 0\r\n\r\n")
        .body;
    assert_eq!(header(&head, "host"), Some("shop.test"));
    assert_eq!(header(&head, "content-length"), Some("0"));
    assert_eq!(header(&head, "authorization"), Some("a"));
    assert!(header(&head, "x-vcap-request-id").is_some());
    assert_eq!(header(&head, "x-mine"), None);
    assert_eq!(header(&head, "connection"), None);
}

#[test]
fn only_requests_with_the_platform_s_own_mark_get_no_access_line() {
    let unlogged = crate::router::Unlogged {
        header: http::HeaderName::from_static("x-mark"),
        value: Arc::new(|host: &str| format!("secret of {host}")),
    };
    let settings = crate::router::Settings {
        unlogged: Some(unlogged),
        ..Default::default()
    };
    let limits = crate::net::server::Limits::default();
    let door = super::harness::door_with(settings, &limits, axum::Router::new());
    door.routes(&[("shop.test", &[answering(ok)])]);
    let ask = |path: &str, mark: &str| {
        door.ask(&format!(
            "GET /{path} HTTP/1.1\r\nHost: Shop.test:80\r\nX-Mark: {mark}\r\n\r\n"
        ))
    };
    let marked = ask("marked", "secret of shop.test");
    assert_eq!(marked.status(), "200");
    assert_eq!(header(&marked.body, "x-mark"), None, "apps do not learn it");
    let of_another_host = ask("guessed", "secret of other.test");
    assert_eq!(header(&of_another_host.body, "x-mark"), None);
    assert!(door.lines.next().contains("/guessed"));
    assert_eq!(door.lines.count(), 0);
}
