//! The server over real sockets, for names of ours.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

/// Sends a datagram and returns the bytes of its reply.
pub(super) async fn datagram(server: SocketAddr, question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    socket.send_to(question, server).await.expect("sent");
    let mut buffer = vec![0; 70_000];
    let received = tokio::time::timeout(LIMIT, socket.recv(&mut buffer)).await;
    let length = received.expect("in time").expect("received");
    buffer.truncate(length);
    buffer
}

/// The same on a connection.
pub(super) async fn connection(stream: &mut TcpStream, question: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(question.len()).expect("short");
    stream.write_u16(length).await.ok()?;
    stream.write_all(question).await.ok()?;
    let read = async {
        let length = stream.read_u16().await.ok()?;
        let mut reply = vec![0; usize::from(length)];
        stream.read_exact(&mut reply).await.ok()?;
        Some(reply)
    };
    tokio::time::timeout(LIMIT, read).await.expect("in time")
}

fn parsed(bytes: &[u8]) -> Message {
    Message::from_vec(bytes).expect("valid")
}

#[tokio::test]
async fn each_side_gets_the_address_by_which_it_reaches_the_platform() {
    let server = Server::start(Vec::new());
    let asked = bytes(&question("api.cf.example.", RecordType::A));
    let found = parsed(&datagram(server.bind, &asked).await);
    assert_eq!(addresses(&found), ["127.0.0.1"]);
    let found = parsed(&datagram(server.gateway, &asked).await);
    assert_eq!(addresses(&found), [GATEWAY.to_string()]);
    let mut stream = TcpStream::connect(server.gateway).await.expect("connected");
    let found = parsed(&connection(&mut stream, &asked).await.expect("a reply"));
    assert_eq!(addresses(&found), [GATEWAY.to_string()]);
}

#[tokio::test]
async fn a_connection_takes_many_questions_and_large_replies() {
    let server = Server::start(Vec::new());
    let mut stream = TcpStream::connect(server.bind).await.expect("connected");
    let asked = bytes(&question("many.apps.internal.", RecordType::A));
    for _ in 0..3 {
        let found = parsed(&connection(&mut stream, &asked).await.expect("a reply"));
        assert_eq!(found.answers.len(), 200);
    }
    let short = parsed(&datagram(server.bind, &asked).await);
    assert!(short.metadata.truncation);
}

#[tokio::test]
async fn names_change_while_it_serves() {
    let server = Server::start(Vec::new());
    let asked = bytes(&question("new.apps.internal.", RecordType::A));
    assert!(addresses(&parsed(&datagram(server.bind, &asked).await)).is_empty());
    let mut changed = names();
    changed.add_internal_route(InternalRoute {
        name: "new.apps.internal".to_owned(),
        instances: vec![Instance {
            index: 0,
            address: Ipv4Addr::new(172, 18, 9, 9),
        }],
    });
    server.names.set(changed);
    let found = parsed(&datagram(server.bind, &asked).await);
    assert_eq!(addresses(&found), ["172.18.9.9"]);
}

#[tokio::test]
async fn nonsense_closes_a_connection_and_is_ignored_as_a_datagram() {
    let server = Server::start(Vec::new());
    let mut stream = TcpStream::connect(server.bind).await.expect("connected");
    assert_eq!(connection(&mut stream, &[1, 2, 3]).await, None);
    let mut stream = TcpStream::connect(server.bind).await.expect("connected");
    stream.write_u16(60_000).await.expect("sent");
    assert!(stream.read_u8().await.is_err(), "too large a question");

    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    for nonsense in [vec![], vec![0; 5], vec![0xff; 3000], vec![0; 9000]] {
        socket.send_to(&nonsense, server.bind).await.expect("sent");
    }
    let malformed = [&bytes(&question("cf.example.", RecordType::A))[..14], &[63]].concat();
    let found = parsed(&datagram(server.bind, &malformed).await);
    assert_eq!(found.metadata.response_code, ResponseCode::FormErr);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let server = Server::start(Vec::new());
    let mut stream = TcpStream::connect(server.bind).await.expect("connected");
    let began = tokio::time::Instant::now();
    assert!(stream.read_u8().await.is_err());
    assert!(began.elapsed() >= Duration::from_secs(10));
}

#[tokio::test]
async fn the_client_finds_addresses_and_errors() {
    let server = Server::start(Vec::new());
    let found = ask(server.bind, "2.shop.apps.internal", LIMIT).await;
    assert_eq!(found.expect("asked"), [IpAddr::from([172, 18, 1, 2])]);
    let found = ask(server.bind, "gone.apps.internal", LIMIT).await;
    assert!(found.expect("asked").is_empty());
    let error = ask(server.bind, "example.com", LIMIT)
        .await
        .expect_err("nobody to ask");
    assert!(error.to_string().contains("Server Failure"), "{error}");
}

#[test]
fn a_port_is_bound_for_both_or_not_at_all() {
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 92, 1));
    let first = Sockets::bind(ip, PortChoice::Exactly(0)).expect("bound");
    let port = first.address().port();
    let taken = Sockets::bind(ip, PortChoice::Exactly(port));
    assert!(taken.is_err());
    let other = Sockets::bind(ip, PortChoice::Prefer(port, 0)).expect("another one");
    assert_ne!(other.address().port(), port);
    let udp = std::net::UdpSocket::bind((ip, 0)).expect("bound");
    let half = udp.local_addr().expect("address").port();
    assert!(Sockets::bind(ip, PortChoice::Exactly(half)).is_err());
}
