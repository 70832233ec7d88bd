//! Route services: apps of the platform, and servers elsewhere over TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::harness::{Client, Door, answering, app, at, door, door_with, header, nobody, ok};
use crate::base::{Clock, SystemClock};
use crate::net::server::Limits;
use crate::pki::testing::Authority;
use crate::router::testing::route;
use crate::router::{Route, RouteService, Settings, Table};

const GET: &str = "GET /a%2Fb?x=1 HTTP/1.1\r\nHost: Shop.test:81\r\nX-CF-InstanceID: mine\r\n\r\n";

/// A route of `app` whose requests go to `service` first.
fn serviced(host: &str, app: SocketAddr, service: &str) -> Route {
    let service = RouteService::parse(service).expect("a service");
    Route {
        service: Some(Arc::new(service)),
        ..route(host, "", vec![at(app)])
    }
}

/// An app that sends what it gets on to the URL that the router names, as a route service does.
fn forwarding(door: &Door) -> SocketAddr {
    let router = door.http;
    app(move |mut client| {
        while let Some(head) = client.head() {
            let url = header(&head, "x-cf-forwarded-url").expect("a URL");
            let rest = url.strip_prefix("http://").expect("over HTTP");
            let (host, target) = rest.split_at(rest.find('/').expect("a path"));
            let kept = [
                "x-cf-proxy-signature",
                "x-cf-proxy-metadata",
                "x-cf-forwarded-url",
            ];
            let kept = kept.map(|name| format!("{name}: {}\r\n", header(&head, name).unwrap()));
            let mut onward = Client::connect(router);
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
                kept.concat()
            );
            onward.send(request.as_bytes());
            let answer = onward.answer();
            client.send(ok(&format!("{head}---{}", answer.body)).as_bytes());
        }
    })
}

#[test]
fn a_request_goes_to_the_service_first_and_comes_back_to_the_app() {
    let door = door();
    let shop = answering(ok);
    door.router.swap(Table::build(vec![
        serviced("shop.test", shop, "https://log.test:444/in?y=2"),
        route("log.test", "", vec![at(forwarding(&door))]),
    ]));
    let answer = door.ask(GET);
    assert_eq!(answer.status(), "200", "{answer:?}");
    let (service, app) = answer.body.split_once("---").expect("both");
    assert!(service.starts_with("GET /in?y=2 HTTP/1.1\r\n"), "{service}");
    assert_eq!(header(service, "host"), Some("log.test:444"));
    let url = format!("http://Shop.test:{}/a%2Fb?x=1", door.http.port());
    assert_eq!(header(service, "x-cf-forwarded-url"), Some(&*url));
    assert!(
        header(service, "x-cf-instanceid")
            .unwrap()
            .starts_with("instance-")
    );
    assert!(app.starts_with("GET /a%2Fb?x=1 HTTP/1.1\r\n"), "{app}");
    for name in [
        "x-cf-proxy-signature",
        "x-cf-proxy-metadata",
        "x-cf-forwarded-url",
    ] {
        assert_eq!(header(app, name), None, "{app}");
    }
    let line = door.lines.next();
    let host = format!("Shop.test:{} - [", door.http.port());
    assert!(line.starts_with(&host), "{line}");
    let line = door.lines.next();
    assert!(line.starts_with("log.test:444 - ["), "{line}");
    assert!(line.contains("\"GET /in?y=2 HTTP/1.1\" 200 "), "{line}");
}

#[test]
fn what_a_service_answers_is_final() {
    let door = door();
    let gate = answering(|_| "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno".to_owned());
    let shop = answering(|_| panic!("the app is not asked"));
    door.router.swap(Table::build(vec![
        serviced("shop.test", shop, "https://gate.test"),
        route("gate.test", "", vec![at(gate)]),
    ]));
    let answer = door.ask(GET);
    assert_eq!((answer.status(), &*answer.body), ("401", "no"));
}

#[test]
fn the_sessions_of_a_service_are_not_those_of_the_app() {
    let door = door();
    let gate = answering(|_| {
        "HTTP/1.1 200 OK\r\nset-cookie: JSESSIONID=s\r\ncontent-length: 0\r\n\r\n".to_owned()
    });
    door.router.swap(Table::build(vec![
        serviced("shop.test", nobody(), "https://gate.test"),
        route("gate.test", "", vec![at(gate)]),
    ]));
    let answer = door.ask(GET);
    assert!(answer.head.contains("JSESSIONID=s"), "{answer:?}");
    assert!(!answer.head.contains("__VCAP_ID__"), "{answer:?}");
    // The service's own visitors have sessions.
    let own = door.ask("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert!(own.head.contains("__VCAP_ID__"), "{own:?}");
}

#[test]
fn a_service_of_the_platform_that_does_not_run_is_an_error() {
    let settings = Settings {
        domain: "cf.test".to_owned(),
        ..Settings::default()
    };
    let door = door_with(settings, &Limits::default(), axum::Router::new());
    let services = vec![serviced("shop.test", nobody(), "https://gate.cf.test/in")];
    door.router.swap(Table::build(services));
    let answer = door.ask(GET);
    assert_eq!(answer.status(), "502", "{answer:?}");
    let error = answer.header("x-cf-routererror");
    let expected = "endpoint_failure (no instance of the route service gate.cf.test runs)";
    assert_eq!(error, Some(expected));
}

#[test]
fn a_signature_is_for_its_route_and_its_time() {
    let door = door();
    let shop = answering(ok);
    door.router.swap(Table::build(vec![
        serviced("shop.test", shop, "https://log.test"),
        serviced("other.test", shop, "https://log.test"),
        route("free.test", "", vec![at(shop)]),
        route("log.test", "", vec![at(nobody())]),
    ]));
    let now = SystemClock.now();
    let ask = |host: &str, url: &str, at| {
        let signed = door.router.signer().sign(url, at).expect("signed");
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let (signature, metadata) = (text(&signed.signature), text(&signed.metadata));
        door.ask(&format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nX-CF-Proxy-Signature: {signature}\r\n\
             X-CF-Proxy-Metadata: {metadata}\r\n\r\n"
        ))
    };
    // Another path of the same route will do.
    assert_eq!(
        ask("shop.test", "http://shop.test:8080/else", now).status(),
        "200"
    );
    let fails = |host: &str, url: &str, at, status: &str, why: &str| {
        let answer = ask(host, url, at);
        assert_eq!(answer.status(), status);
        let why = format!("Failed to validate Route Service Signature: {why}\n");
        assert!(answer.body.ends_with(&why), "{}", answer.body);
        assert_eq!(answer.header("x-cf-routererror"), None);
    };
    let early = now.minus(Duration::from_secs(61));
    let expired = "route service request expired";
    fails("shop.test", "http://shop.test/", early, "504", expired);
    let other = "route service forwarded URL shop.test/ does not match the original request URL \
        other.test/a";
    fails("shop.test", "http://other.test/a", now, "502", other);
    let gone = "original request URL gone.test/ does not exist in the routing table";
    fails("shop.test", "http://gone.test/", now, "502", gone);
    let forged = door.ask(
        "GET / HTTP/1.1\r\nHost: shop.test\r\nX-CF-Proxy-Signature: AAAA\r\n\
         X-CF-Proxy-Metadata: eyJub25jZSI6IkFBQUFBQUFBQUFBQUFBQUEifQ==\r\n\r\n",
    );
    assert_eq!(forged.status(), "502");
    assert!(
        forged
            .body
            .contains("cipher: message authentication failed"),
        "{forged:?}"
    );
    // A route without a service has nothing to check.
    let passed = ask("free.test", "http://gone.test/", now);
    assert!(
        header(&passed.body, "x-cf-proxy-signature").is_some(),
        "{passed:?}"
    );
}

#[test]
fn a_service_behind_another_service_is_refused() {
    let door = door();
    let shop = answering(ok);
    door.router.swap(Table::build(vec![
        serviced("shop.test", shop, "https://second.test/x"),
        serviced("second.test", shop, "https://shop.test"),
    ]));
    let answer = door.ask(GET);
    assert_eq!(answer.status(), "502");
    let why = "route service forwarded URL second.test/ does not match the original request URL \
        shop.test/a%2Fb\n";
    assert!(answer.body.ends_with(why), "{}", answer.body);
}

#[test]
fn tunnels_do_not_go_through_services() {
    let door = door();
    let shop = answering(ok);
    door.router.swap(Table::build(vec![
        serviced("shop.test", shop, "https://log.test"),
        route("log.test", "", vec![at(shop)]),
    ]));
    let answer = door.ask(
        "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(answer.status(), "503");
    let error = answer.header("x-cf-routererror");
    assert_eq!(error, Some("route_service_unsupported"));
    let text = "503 Service Unavailable: Websocket requests are not supported for routes bound to \
        Route Services.\n";
    assert_eq!(answer.body, text);
}

#[test]
fn a_route_with_a_service_has_no_targets() {
    let door = door();
    let shop = answering(ok);
    door.router.swap(Table::build(vec![
        serviced("shop.test", shop, "https://log.test"),
        route("log.test", "", vec![at(shop)]),
    ]));
    let answer = door.ask("GET / HTTP/1.1\r\nHost: shop.test\r\nX-CF-App-Instance: bad\r\n\r\n");
    assert_eq!(answer.status(), "200");
}

/// A server with TLS that answers each connection's first request with its head; its port.
fn tls_server(config: Arc<rustls::ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let config = config.clone();
            std::thread::spawn(move || answer_over_tls(config, socket.unwrap()));
        }
    });
    port
}

fn answer_over_tls(config: Arc<rustls::ServerConfig>, socket: TcpStream) {
    let tls = rustls::ServerConnection::new(config).unwrap();
    let mut stream = rustls::StreamOwned::new(tls, socket);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        // A client that does not trust this server ends the connection.
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    stream.write_all(ok(&head).as_bytes()).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
}

#[test]
fn a_service_elsewhere_is_called_over_tls() {
    let authority = Authority::new();
    let settings = Settings {
        authority: authority.pem(),
        ..Settings::default()
    };
    let door = door_with(settings, &Limits::default(), axum::Router::new());
    let port = tls_server(authority.server(false));
    let shop = answering(ok);
    let url = format!("https://localhost:{port}/in");
    let services = vec![serviced("shop.test", shop, &url)];
    door.router.swap(Table::build(services));
    let answer = door.ask(GET);
    assert_eq!(answer.status(), "200", "{answer:?}");
    let head = &answer.body;
    assert!(head.starts_with("GET /in HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(head, "host"), Some(&*format!("localhost:{port}")));
    assert!(header(head, "x-cf-proxy-signature").is_some());
    assert_eq!(header(head, "x-cf-instanceid"), None, "{head}");
    let id = header(head, "x-vcap-request-id");
    assert_eq!(answer.header("x-vcap-request-id"), id);
    assert_eq!(door.lines.count(), 0, "no app was asked");
}

#[test]
fn a_service_that_cannot_be_trusted_or_reached_is_an_error() {
    let (authority, other) = (Authority::new(), Authority::new());
    let settings = Settings {
        authority: authority.pem(),
        ..Settings::default()
    };
    let door = door_with(settings, &Limits::default(), axum::Router::new());
    let shop = answering(ok);
    let own = tls_server(authority.server(false));
    let unknown = tls_server(other.server(false));
    let plain = app(|mut client| {
        client.try_bytes(1);
        client.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let plain = plain.port();
    let nobody = nobody().port();
    let unknown_authority =
        "endpoint_failure (x509: certificate signed by unknown authority)".to_owned();
    let refused =
        format!("endpoint_failure (dial tcp 127.0.0.1:{nobody}: connect: connection refused)");
    let cases = [
        (
            format!("localhost:{unknown}"),
            "526",
            "526 Invalid SSL Certificate\n",
            Some(unknown_authority),
        ),
        (
            format!("127.0.0.1:{own}"),
            "503",
            "503 Service Unavailable\n",
            None,
        ),
        (
            format!("localhost:{plain}"),
            "525",
            "525 SSL Handshake Failed\n",
            None,
        ),
        (
            format!("127.0.0.1:{nobody}"),
            "502",
            "502 Bad Gateway: Registered endpoint failed to handle the request.\n",
            Some(refused),
        ),
    ];
    for (place, status, text, error) in cases {
        let services = vec![serviced("shop.test", shop, &format!("https://{place}"))];
        door.router.swap(Table::build(services));
        let answer = door.ask(GET);
        assert_eq!((answer.status(), &*answer.body), (status, text), "{place}");
        let found = answer.header("x-cf-routererror").expect("an error");
        assert!(found.starts_with("endpoint_failure ("), "{found}");
        if let Some(error) = error {
            assert_eq!(found, error);
        }
        // The app's log says why.
        let line = door.lines.next();
        assert!(line.contains(&format!("HTTP/1.1\" {status} ")), "{line}");
    }
}
