//! The platform as a service: what it tells a service manager, sockets that it inherits, signals,
//! and its log in the journal.

mod process;

use std::io::{Read, Write};
use std::net::TcpListener;

use nix::sys::signal::Signal;
use process::{Service, answer, get, send, write};

fn has(messages: &[String], line: &str) -> bool {
    let mut lines = messages.iter().flat_map(|message| message.lines());
    lines.any(|one| one == line)
}

#[test]
fn it_is_ready_when_the_api_answers_and_says_what_it_waits_for_before() {
    let service = Service::new();
    let mut process = service.start();
    let before = service.messages_until("READY=1");
    assert!(before.len() > 2, "{before:?}");
    let (ready, waiting) = before.split_last().expect("messages");
    assert!(
        waiting.iter().all(|one| one.starts_with("STATUS=")),
        "{before:?}"
    );
    let status = format!(
        "STATUS=serving http://api.cf.localhost:{}",
        service.address().port()
    );
    assert!(ready.contains(&status), "{ready}");
    let found = answer(send(service.address(), &get("/healthz")));
    assert!(found.starts_with("HTTP/1.1 200"), "{found}");
    process.signal(Signal::SIGTERM);
    assert!(process.end().success(), "{}", service.log());
    assert!(has(&service.messages_until("STOPPING=1"), "STOPPING=1"));
    // Without a watchdog nothing of it is told.
    assert!(!has(&before, "WATCHDOG=1"));
}

#[test]
fn signs_of_life_are_sent_when_a_watchdog_waits_for_this_process() {
    let mut service = Service::new();
    service
        .environment
        .push(("WATCHDOG_USEC", "400000".to_owned()));
    let process = service.start();
    service.messages_until("READY=1");
    for _ in 0..3 {
        service.messages_until("WATCHDOG=1");
    }
    // Of another process.
    drop(process);
    let mut service = Service::new();
    service
        .environment
        .push(("WATCHDOG_USEC", "1000".to_owned()));
    service.environment.push(("WATCHDOG_PID", "1".to_owned()));
    let mut process = service.start();
    service.messages_until("READY=1");
    process.signal(Signal::SIGTERM);
    let rest = service.messages_until("STOPPING=1");
    assert!(!has(&rest, "WATCHDOG=1"), "{rest:?}");
    process.end();
}

#[test]
fn a_reload_takes_over_what_can_change_and_names_the_rest() {
    let service = Service::new();
    let process = service.start();
    service.messages_until("READY=1");
    let file = service.path("data/cflite.toml");
    write(
        &file,
        "registry-cache = \"3G\"\nalert = [\"exec:/bin/true\"]\ndomain = \"other.example\"\n",
    );
    process.signal(Signal::SIGHUP);
    let messages = service.messages_until("READY=1");
    let first = &messages[0];
    assert!(first.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{first}");
    let log = service.log();
    assert!(log.contains("changed=registry-cache, alert"), "{log}");
    assert!(log.contains("options=domain"), "{log}");
    let found = answer(send(service.address(), &get("/v3/info")));
    assert!(found.starts_with("HTTP/1.1 200"), "{found}");

    write(&file, "registry-cash = \"3G\"\n");
    process.signal(Signal::SIGHUP);
    service.messages_until("READY=1");
    let log = service.log();
    assert!(
        log.contains("unknown key") && log.contains("did you mean"),
        "{log}"
    );
    let found = answer(send(service.address(), &get("/healthz")));
    assert!(found.starts_with("HTTP/1.1 200"), "{found}");
}

#[test]
fn a_restart_refuses_no_connection_on_inherited_sockets() {
    let listen = || TcpListener::bind(("127.0.0.1", 0)).expect("bound");
    let mut service = Service::new();
    service.sockets = vec![("https", listen()), ("http", listen()), ("http", listen())];
    service.sockets.push(("ssh", listen()));
    let addresses: Vec<_> = { service.sockets.iter() }
        .map(|(_, socket)| socket.local_addr().expect("address"))
        .collect();
    let mut process = service.start();
    service.messages_until("READY=1");
    assert_eq!(service.address(), addresses[1]);
    for address in &addresses[1..3] {
        let found = answer(send(*address, &get("/healthz")));
        assert!(found.starts_with("HTTP/1.1 200"), "{found}");
    }
    let mut greeting = [0; 14];
    let mut ssh = send(addresses[3], "");
    ssh.read_exact(&mut greeting).expect("a greeting");
    assert_eq!(&greeting, b"SSH-2.0-cflite");
    drop(ssh);
    process.signal(Signal::SIGTERM);
    assert!(process.end().success(), "{}", service.log());

    let waiting: Vec<_> = { addresses[1..3].iter() }
        .map(|address| send(*address, &get("/healthz")))
        .collect();
    let _next = service.start();
    for stream in waiting {
        let found = answer(stream);
        assert!(
            found.starts_with("HTTP/1.1 200"),
            "{found}\n{}",
            service.log()
        );
    }
}

#[test]
fn a_socket_without_a_use_is_refused_by_name() {
    let mut service = Service::new();
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("bound");
    service.sockets = vec![("cflite.socket", socket)];
    let mut process = service.start();
    assert!(!process.end().success());
    let log = service.log();
    assert!(
        log.contains("\"cflite.socket\"") && log.contains("http, https"),
        "{log}"
    );
}

#[test]
fn a_request_in_progress_is_answered_before_the_process_ends() {
    let service = Service::new();
    let mut process = service.start();
    service.messages_until("READY=1");
    let body = "grant_type=password&username=admin&password=wrong";
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic Y2Y6\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = send(service.address(), &head);
    // The handler asks for the body: the request is in progress.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("an answer");
    assert!(interim.starts_with(b"HTTP/1.1 100"));
    process.signal(Signal::SIGTERM);
    service.messages_until("STOPPING=1");
    stream.write_all(body.as_bytes()).expect("sent");
    let found = answer(stream);
    assert!(found.contains("HTTP/1.1 401"), "{found}");
    assert!(process.end().success(), "{}", service.log());
}

#[test]
fn lines_for_the_journal_have_their_severity_in_front() {
    let service = Service::new();
    let mut process = service.start();
    service.messages_until("READY=1");
    process.signal(Signal::SIGTERM);
    process.end();
    let log = service.log();
    let severity = |line: &str| line.get(..3).map(str::to_owned);
    let of = |text: &str| {
        log.lines()
            .find(|line| line.contains(text))
            .and_then(severity)
    };
    assert_eq!(
        of("starting without Docker").as_deref(),
        Some("<4>"),
        "{log}"
    );
    assert_eq!(of("stopping").as_deref(), Some("<6>"), "{log}");
}
