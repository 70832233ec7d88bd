//! A thread that panics is detected; a connection that fails does not affect others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Paths;
use crate::net::ports::{PortChoice, bind};
use crate::net::server::{Limits, Listener, Serve, ServeError, Server};

/// One of the threads panics at its first start.
struct Dying {
    threads: AtomicUsize,
    dies: usize,
}

impl Serve for Dying {
    type Local = Paths;

    fn local(&self) -> Paths {
        let number = self.threads.fetch_add(1, Ordering::SeqCst);
        assert!(number != self.dies, "thread {number} dies");
        Paths::default()
    }
}

fn server(dies: usize) -> Arc<Server<Dying>> {
    let socket = bind([127, 0, 0, 1].into(), PortChoice::Exactly(0)).unwrap();
    let serve = Dying {
        threads: AtomicUsize::new(0),
        dies,
    };
    let limits = Limits {
        threads: 2,
        ..Limits::default()
    };
    Arc::new(Server::new(vec![Listener::plain(socket)], serve, limits))
}

/// The response to a request on its own connection; empty when the server closes it.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let limit = Some(Duration::from_secs(20));
    socket.set_read_timeout(limit).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_that_dies_ends_the_server_which_can_be_started_again() {
    let server = server(1);
    let address = server.addresses()[0];
    let token = CancellationToken::new();
    let limit = Duration::from_secs(20);
    let ended = tokio::time::timeout(limit, server.clone().run(token.clone())).await;
    let Err(ServeError::ThreadPanicked(why)) = ended.expect("in time") else {
        panic!("no panic reported");
    };
    assert_eq!(why, "thread 1 dies");
    let running = server.clone().run(token.clone());
    let asking = tokio::task::spawn_blocking(move || {
        let _stop = token.drop_guard();
        (0..4).map(|_| ask(address, "/again")).collect::<Vec<_>>()
    });
    let (running, answers) = tokio::join!(running, asking);
    running.unwrap();
    for answer in answers.unwrap() {
        assert!(answer.contains("[/again]"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_panics_does_not_affect_others() {
    let server = server(usize::MAX);
    let address = server.addresses()[0];
    let token = CancellationToken::new();
    let running = server.clone().run(token.clone());
    let asking = tokio::task::spawn_blocking(move || {
        let _stop = token.drop_guard();
        let mut kept = TcpStream::connect(address).unwrap();
        for _ in 0..8 {
            assert_eq!(ask(address, "/panic"), "");
            assert!(ask(address, "/well").contains("[/well]"));
        }
        kept.write_all(b"GET /kept HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        kept.read_to_string(&mut answer).unwrap();
        answer
    });
    let (running, answer) = tokio::join!(running, asking);
    running.unwrap();
    assert!(answer.unwrap().contains("[/kept]"));
    assert_eq!(server.serve.threads.load(Ordering::SeqCst), 2);
}
