//! The platform's names go to the platform, whoever else claims them.

use axum::Extension;
use axum::routing::{get, post};

use super::harness::{Door, answering, door_with, ok};
use crate::net::server::Limits;
use crate::net::{RequestBase, RequestId};
use crate::router::Settings;

async fn base(
    Extension(base): Extension<RequestBase>,
    Extension(id): Extension<RequestId>,
) -> String {
    format!("{} {}", base.origin(), id.as_str().len())
}

async fn length(body: axum::body::Bytes) -> String {
    body.len().to_string()
}

fn platform_door() -> Door {
    let platform = axum::Router::new()
        .route("/base", get(base))
        .route("/length", post(length))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let door = door_with(Settings::default(), &Limits::default(), platform);
    let app = answering(|_| ok("app"));
    door.routes(&[("*.cf.localhost", &[app]), ("localhost", &[app])]);
    door
}

#[test]
fn platform_names_reach_the_platform_and_know_how_they_were_asked() {
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
fn a_foreign_name_that_resolves_to_us_finds_nothing() {
    let door = platform_door();
    let answer = door.ask("GET /base HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(answer.status(), "404");
    let answer = door.ask(
        "POST /length HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(answer.status(), "403");
}

#[test]
fn uploads_reach_the_platform_whole() {
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
