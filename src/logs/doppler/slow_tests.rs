//! A client that does not read, next to one that does, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::*;
use crate::base::{Supervisor, SystemClock};
use crate::db::Db;
use crate::logs::live::PATIENCE;
use crate::logs::{Line, LogStream, Readable};

const LINES: usize = 300;
const LENGTH: usize = 60_000;

struct Everyone;

#[async_trait]
impl LogAccess for Everyone {
    async fn readable(&self, _: Option<&str>, _: &str) -> bool {
        true
    }

    async fn named(&self, _: Option<&str>, _: &str) -> Vec<String> {
        Vec::new()
    }

    async fn all_readable(&self, _: Option<&str>) -> Readable {
        Readable::Everything
    }
}

async fn connect(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a buffer");
    let tcp = socket.connect(address).await.expect("a connection");
    let request = format!("ws://{address}/firehose/{}", rand::random::<u32>());
    let mut request = request.into_client_request().expect("a request");
    let token = "bearer x".parse().expect("a value");
    request.headers_mut().insert("authorization", token);
    let (socket, _) = tokio_tungstenite::client_async(request, tcp)
        .await
        .expect("a websocket");
    socket
}

/// How many lines came before the end, at most so many.
async fn read(socket: &mut WebSocketStream<TcpStream>, limit: usize) -> usize {
    let mut count = 0;
    while count < limit {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => count += usize::from(bytes.len() > LENGTH),
            Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            Some(Ok(_)) => {}
        }
    }
    count
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_and_another_gets_everything() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let logs = Logs::open(db, Arc::new(SystemClock)).await.expect("logs");
    let supervisor = Supervisor::new();
    logs.start(&supervisor);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut server = JoinSet::new();
    let routes = logs.stream_router(Arc::new(Everyone));
    server.spawn(async move { axum::serve(listener, routes).await });
    let (mut slow, mut fast) = (connect(address).await, connect(address).await);

    let text = "x".repeat(LENGTH);
    let write = async {
        for number in 0..LINES {
            logs.emit(Line {
                source_id: "app",
                source_type: "APP",
                instance_id: "0",
                stream: LogStream::Out,
                text: &text,
            });
            if number % 10 == 9 {
                logs.flush().await;
            }
        }
    };
    let both = async { tokio::join!(write, read(&mut fast, LINES)) };
    let ((), of_fast) = tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .expect("in time");
    assert_eq!(of_fast, LINES);
    tokio::time::sleep(PATIENCE + Duration::from_secs(3)).await;
    let of_slow = tokio::time::timeout(Duration::from_secs(20), read(&mut slow, LINES)).await;
    assert!(of_slow.expect("the end") < LINES);
    assert_eq!(logs.hub().len(), 1, "only the other is left");
}
