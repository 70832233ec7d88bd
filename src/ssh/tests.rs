//! The server against a client: limits of connections, and their end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use russh::client::{self, AuthResult, Handle};
use russh::keys::PublicKeyOrCertificate;
use tokio::time::{Instant, sleep, timeout};

use super::{Authorizer, HostKey, Observer, Parts, Place, Refusal, Settings, Ssh, Visitor};
use crate::base::{Supervisor, SystemClock};
use crate::docker::FakeEngine;

/// Lets in whoever says "open", and counts who is there.
#[derive(Default)]
struct Guard {
    present: AtomicUsize,
}

#[async_trait]
impl Authorizer for Guard {
    async fn admit(&self, visitor: Visitor) -> Result<Place, Refusal> {
        if visitor.code.expose() != "open" {
            return Err(Refusal("wrong".to_owned()));
        }
        Ok(Place {
            app_guid: "app".into(),
            process_guid: "process".into(),
            index: 0,
            container_id: "none".to_owned(),
        })
    }
}

impl Observer for Guard {
    fn began(&self, _: &Place, _: SocketAddr) {
        self.present.fetch_add(1, Ordering::SeqCst);
    }

    fn ended(&self, _: &Place, _: SocketAddr) {
        self.present.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

struct Bench {
    address: SocketAddr,
    guard: Arc<Guard>,
    supervisor: Supervisor,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let guard = Arc::new(Guard::default());
        let supervisor = Supervisor::new();
        let parts = Parts {
            engine: Arc::new(FakeEngine::new(Arc::new(SystemClock))),
            authorizer: guard.clone(),
            observer: guard.clone(),
            host_key: HostKey::open(&dir.path().join("key")).unwrap(),
            settings,
        };
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        Ssh::new(parts, &supervisor).start(vec![socket]);
        Self {
            address,
            guard,
            supervisor,
            _dir: dir,
        }
    }

    async fn connect(&self) -> Result<Handle<Trusting>, russh::Error> {
        client::connect(Arc::default(), self.address, Trusting).await
    }

    async fn enter(&self) -> Handle<Trusting> {
        let mut session = self.connect().await.unwrap();
        let result = session.authenticate_password("cf:a/0", "open").await;
        assert!(matches!(result, Ok(AuthResult::Success)), "{result:?}");
        session
    }

    /// Waits until so many are there.
    async fn present(&self, count: usize) {
        for _ in 0..250 {
            if self.guard.present.load(Ordering::SeqCst) == count {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("never {count} are there");
    }
}

/// Waits until the server ended the connection.
async fn closed(session: &Handle<Trusting>) {
    let ends = async {
        while !session.is_closed() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), ends).await.expect("closed");
}

#[tokio::test]
async fn a_client_that_does_not_prove_itself_is_sent_away() {
    let bench = Bench::new(Settings {
        log_in: Duration::from_millis(400),
        ..Settings::default()
    });
    let silent = bench.connect().await.unwrap();
    let visitor = bench.enter().await;
    closed(&silent).await;
    assert!(!visitor.is_closed());
    // One that does not even speak SSH.
    let mut stream = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    let mut greeting = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut greeting);
    timeout(Duration::from_secs(5), read)
        .await
        .expect("sent away")
        .unwrap();
    assert!(greeting.starts_with(b"SSH-2.0-cflite\r\n"), "{greeting:?}");
}

#[tokio::test]
async fn wrong_codes_end_a_connection() {
    let bench = Bench::new(Settings::default());
    let mut session = bench.connect().await.unwrap();
    let mut tries = 0;
    while !session.is_closed() && tries < 10 {
        tries += 1;
        match session.authenticate_password("cf:a/0", "wrong").await {
            Ok(AuthResult::Success) => panic!("a wrong code"),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    assert!((2..=4).contains(&tries), "{tries}");
    assert_eq!(bench.guard.present.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn connections_are_counted_and_their_end_is_told() {
    let bench = Bench::new(Settings {
        connections: 2,
        ..Settings::default()
    });
    let first = bench.enter().await;
    let second = bench.enter().await;
    bench.present(2).await;
    assert!(bench.connect().await.is_err(), "one too many");
    drop(first);
    bench.present(1).await;
    sleep(Duration::from_millis(100)).await;
    let third = bench.enter().await;
    bench.present(2).await;
    drop((second, third));
    bench.present(0).await;
}

#[tokio::test]
async fn a_connection_does_not_last_for_ever() {
    let bench = Bench::new(Settings {
        lifetime: Duration::from_millis(300),
        ..Settings::default()
    });
    closed(&bench.enter().await).await;
    bench.present(0).await;
}

#[tokio::test]
async fn the_channels_of_a_connection_are_bounded() {
    let bench = Bench::new(Settings {
        channels: 2,
        ..Settings::default()
    });
    let session = bench.enter().await;
    let first = session.channel_open_session().await.unwrap();
    let _second = session.channel_open_session().await.unwrap();
    assert!(
        session.channel_open_session().await.is_err(),
        "one too many"
    );
    drop(first.close().await);
    sleep(Duration::from_millis(200)).await;
    assert!(session.channel_open_session().await.is_ok());
}

#[tokio::test]
async fn ports_and_hosts_that_are_none_are_not_connected_to() {
    let bench = Bench::new(Settings::default());
    let session = bench.enter().await;
    for (host, port) in [
        ("localhost", 0),
        ("localhost", 70_000),
        ("", 80),
        ("-e", 80),
    ] {
        let opened = session.channel_open_direct_tcpip(host, port, "127.0.0.1", 1);
        assert!(opened.await.is_err(), "{host}:{port}");
    }
}

#[tokio::test]
async fn all_sessions_end_when_the_platform_stops() {
    let bench = Bench::new(Settings::default());
    let session = bench.enter().await;
    let begun = Instant::now();
    assert!(bench.supervisor.shut_down(Duration::from_secs(5)).await);
    closed(&session).await;
    bench.present(0).await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}
