//! Requests that come before the first route table.

use std::time::Duration;

use super::harness::{answering, door, door_with, ok};
use crate::net::server::Limits;
use crate::router::Settings;

const GET: &str = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n";

#[test]
fn requests_wait_for_the_first_table() {
    let door = door();
    door.router.hold();
    let mut early = door.client();
    early.send(GET.as_bytes());
    while door.router.shared.is_open.receiver_count() == 0 {
        std::thread::yield_now();
    }
    door.routes(&[("shop.test", &[answering(ok)])]);
    door.router.open();
    assert_eq!(early.answer().status(), "200");
    assert_eq!(door.ask(GET).status(), "200");
}

#[test]
fn the_wait_for_the_first_table_is_limited() {
    let settings = Settings {
        first_table: Duration::from_millis(1),
        ..Settings::default()
    };
    let door = door_with(settings, &Limits::default(), axum::Router::new());
    door.router.hold();
    assert_eq!(door.ask(GET).status(), "404");
}
