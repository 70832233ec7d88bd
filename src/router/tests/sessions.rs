//! Sticky sessions over every protocol.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Empty;

use super::harness::{Answer, Door, answering, app, door, header};
use super::tls;

/// An app that starts a session on `/login` and returns its instance.
fn instance() -> SocketAddr {
    answering(|head| {
        let instance = header(head, "x-cf-instanceid").unwrap();
        let cookie = if head.starts_with("GET /login") {
            "set-cookie: JSESSIONID=s; Secure; SameSite=None\r\n"
        } else {
            ""
        };
        let length = instance.len();
        format!("HTTP/1.1 200 OK\r\n{cookie}content-length: {length}\r\n\r\n{instance}")
    })
}

fn set_cookies(answer: &Answer) -> Vec<&str> {
    answer
        .head
        .lines()
        .filter_map(|line| line.strip_prefix("Set-Cookie: "))
        .collect()
}

/// `name=value` of a line of `Set-Cookie`.
fn pair(line: &str) -> &str {
    line.split(';').next().unwrap()
}

fn get(door: &Door, path: &str, cookies: &str) -> Answer {
    door.ask(&format!(
        "GET {path} HTTP/1.1\r\nHost: shop.cf.localhost\r\nCookie: {cookies}\r\n\r\n"
    ))
}

/// Logs in; returns the instance and the cookies for further requests.
fn log_in(door: &Door) -> (String, String) {
    let answer = get(door, "/login", "other=1");
    let cookies = set_cookies(&answer);
    let instance = answer.body.clone();
    assert_eq!(
        cookies[1..],
        [
            format!("__VCAP_ID__={instance}; Path=/; HttpOnly; Secure; SameSite=None"),
            "__VCAP_ID_META__=secure&samesite=none; Path=/; HttpOnly; Secure; SameSite=None"
                .to_owned()
        ]
    );
    let cookies: Vec<&str> = cookies.iter().map(|line| pair(line)).collect();
    (instance, cookies.join("; "))
}

#[test]
fn a_session_stays_at_the_instance_that_started_it() {
    let door = door();
    door.routes(&[("shop.cf.localhost", &[instance(), instance(), instance()])]);
    let (own, cookies) = log_in(&door);
    for _ in 0..6 {
        let answer = get(&door, "/", &cookies);
        assert_eq!(answer.body, own);
        assert!(set_cookies(&answer).is_empty());
    }
    let half = format!("__VCAP_ID__={own}");
    let spread: Vec<String> = (0..3).map(|_| get(&door, "/", &half).body).collect();
    assert!(spread.iter().any(|instance| *instance != own), "{spread:?}");
}

#[test]
fn a_session_whose_instance_is_gone_moves_and_keeps_its_attributes() {
    let door = door();
    let (first, second) = (instance(), instance());
    door.routes(&[("shop.cf.localhost", &[first])]);
    let (_, cookies) = log_in(&door);
    door.routes(&[("shop.cf.localhost", &[second])]);
    let answer = get(&door, "/", &cookies);
    let moved = format!("instance-{}", second.port());
    assert_eq!(answer.body, moved);
    let expected = format!("__VCAP_ID__={moved}; Path=/; HttpOnly; Secure; SameSite=None");
    assert_eq!(set_cookies(&answer), [expected]);
}

#[test]
fn a_session_whose_instance_cannot_be_reached_moves_too() {
    let door = door();
    let (dead, alive) = (super::harness::nobody(), instance());
    door.routes(&[("shop.cf.localhost", &[dead, alive])]);
    let cookies = format!("JSESSIONID=s; __VCAP_ID__=instance-{}", dead.port());
    let answer = get(&door, "/", &cookies);
    let moved = format!("instance-{}", alive.port());
    assert_eq!(answer.body, moved);
    let expected = format!("__VCAP_ID__={moved}; Path=/; HttpOnly");
    assert_eq!(set_cookies(&answer), [expected]);
}

#[test]
fn sessions_work_over_http2() {
    let door = door();
    door.routes(&[("shop.cf.localhost", &[instance(), instance()])]);
    let ask = |path: &str, cookies: &[&str]| {
        let mut request = http::Request::get(format!("https://shop.cf.localhost{path}"));
        for cookie in cookies {
            request = request.header("cookie", *cookie);
        }
        tls::ask(&door, request.body(Empty::<Bytes>::new()).unwrap())
    };
    let login = ask("/login", &[]);
    let all = login.headers().get_all("set-cookie").iter();
    let cookies: Vec<&str> = all.map(|line| pair(line.to_str().unwrap())).collect();
    assert_eq!(cookies.len(), 3, "{login:?}");
    for _ in 0..4 {
        assert_eq!(ask("/", &cookies).body(), login.body());
    }
}

#[test]
fn a_websocket_starts_and_follows_a_session() {
    let door = door();
    let instance = || {
        app(|mut client| {
            let head = client.head().unwrap();
            let instance = header(&head, "x-cf-instanceid").unwrap();
            let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSet-Cookie: JSESSIONID=s\r\n\r\n";
            client.send(format!("{head}{instance}\n").as_bytes());
        })
    };
    let all = [instance(), instance()];
    door.routes(&[("shop.cf.localhost", &all)]);
    for tied in all.iter().chain(&all) {
        let guid = format!("instance-{}", tied.port());
        let mut client = door.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: shop.cf.localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nCookie: JSESSIONID=s; __VCAP_ID__={guid}\r\n\r\n").as_bytes());
        let head = client.head().unwrap();
        let cookie = format!("Set-Cookie: __VCAP_ID__={guid}; Path=/; HttpOnly\r\n");
        assert!(head.contains(&cookie), "{head}");
        assert_eq!(client.until("\n").trim(), guid);
    }
}
