//! Names of others, with servers that do what they should and servers that do not.

use hickory_proto::op::ResponseCode;
use tokio::net::TcpStream;

use super::upstream::{Does, Upstream};
use super::wire::{connection, datagram};
use super::*;

fn asked() -> Vec<u8> {
    bytes(&question("example.com.", RecordType::A))
}

fn code(reply: &[u8]) -> ResponseCode {
    let message = Message::from_vec(reply).expect("valid");
    message.metadata.response_code
}

#[tokio::test]
async fn questions_and_replies_are_passed_byte_for_byte() {
    let upstream = Upstream::start(Does::Replies(0));
    let server = Server::start(vec![upstream.address]);
    let mut expected = asked();
    expected[2] |= 0x80;
    assert_eq!(datagram(server.gateway, &asked()).await, expected);
    let mut stream = TcpStream::connect(server.gateway).await.expect("connected");
    assert_eq!(connection(&mut stream, &asked()).await, Some(expected));
    assert_eq!(upstream.asked(), [asked(), asked()]);
}

#[tokio::test]
async fn replies_to_other_questions_do_not_count() {
    let upstream = Upstream::start(Does::Mistakes);
    let server = Server::start(vec![upstream.address]);
    let mut expected = asked();
    expected[2] |= 0x80;
    assert_eq!(datagram(server.gateway, &asked()).await, expected);
}

#[tokio::test]
async fn what_does_not_fit_into_a_datagram_is_asked_on_a_connection() {
    let upstream = Upstream::start(Does::Truncates(900));
    let server = Server::start(vec![upstream.address]);
    let length = asked().len();
    let mut stream = TcpStream::connect(server.gateway).await.expect("connected");
    let whole = connection(&mut stream, &asked()).await.expect("a reply");
    assert_eq!((whole.len(), whole[2] & 0x02), (length + 900, 0));
    // The client takes no more than 512 bytes, and learns that there is more.
    let short = datagram(server.gateway, &asked()).await;
    assert_eq!((short.len(), short[2] & 0x02), (length, 0x02));
    let large = bytes(&with_payload(question("example.com.", RecordType::A), 4000));
    let whole = datagram(server.gateway, &large).await;
    assert_eq!(whole.len(), large.len() + 900);
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_fails() {
    let silent = Upstream::start(Does::Nothing);
    let failing = Upstream::start(Does::Says(2));
    let good = Upstream::start(Does::Replies(0));
    let server = Server::start(vec![failing.address, silent.address, good.address]);
    assert_eq!(
        code(&datagram(server.gateway, &asked()).await),
        ResponseCode::NoError
    );
    assert_eq!(failing.asked().len(), 1);
    assert_eq!(silent.asked().len(), 1);

    let server = Server::start(vec![failing.address, silent.address]);
    assert_eq!(
        code(&datagram(server.gateway, &asked()).await),
        ResponseCode::ServFail
    );
    // That there is no such name is an answer.
    let nothing = Upstream::start(Does::Says(3));
    let server = Server::start(vec![nothing.address, good.address]);
    assert_eq!(
        code(&datagram(server.gateway, &asked()).await),
        ResponseCode::NXDomain
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_clients_do() {
    let silent = Upstream::start(Does::Nothing);
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    for servers in [
        vec![silent.address],
        vec![closed, silent.address, silent.address],
    ] {
        let server = Server::start(servers);
        let began = tokio::time::Instant::now();
        let mut stream = TcpStream::connect(server.gateway).await.expect("connected");
        let reply = connection(&mut stream, &asked()).await.expect("a reply");
        assert_eq!(code(&reply), ResponseCode::ServFail);
        assert!(began.elapsed() <= PATIENCE + std::time::Duration::from_millis(100));
    }
}

#[tokio::test]
async fn offline_nobody_is_asked_and_our_names_are_answered() {
    let server = Server::start(Vec::new());
    assert_eq!(
        code(&datagram(server.gateway, &asked()).await),
        ResponseCode::ServFail
    );
    let ours = bytes(&question("shop.apps.internal.", RecordType::A));
    let found = Message::from_vec(&datagram(server.gateway, &ours).await).expect("valid");
    assert_eq!(found.answers.len(), 3);
}

#[tokio::test]
async fn names_of_ours_are_never_asked_of_others() {
    let upstream = Upstream::start(Does::Replies(0));
    let server = Server::start(vec![upstream.address]);
    for name in [
        "gone.apps.internal.",
        "x.cflite.internal.",
        "any.cf.example.",
        "shop.example.org.",
    ] {
        let asked = bytes(&question(name, RecordType::TXT));
        assert_eq!(
            code(&datagram(server.gateway, &asked).await),
            ResponseCode::NoError
        );
    }
    assert!(upstream.asked().is_empty());
}

#[tokio::test]
async fn nothing_goes_round_in_a_circle() {
    let upstream = Upstream::start(Does::Replies(0));
    // A server on loopback may have sent what came from loopback.
    let server = Server::start(vec![upstream.address]);
    assert_eq!(
        code(&datagram(server.bind, &asked()).await),
        ResponseCode::ServFail
    );
    assert!(upstream.asked().is_empty());
    // The gateway leads back here, on its usual port, too.
    let server = Server::start(vec![SocketAddr::from((GATEWAY, 53))]);
    assert_eq!(
        code(&datagram(server.gateway, &asked()).await),
        ResponseCode::ServFail
    );
}

#[tokio::test]
async fn too_many_questions_fail_at_once() {
    let silent = Upstream::start(Does::Nothing);
    let server = Server::start(vec![silent.address]);
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("bound");
    socket.connect(server.gateway).await.expect("connected");
    for _ in 0..QUESTIONS + 20 {
        socket.send(&asked()).await.expect("sent");
        tokio::task::yield_now().await;
    }
    let mut buffer = [0; 512];
    let received = tokio::time::timeout(PATIENCE / 2, socket.recv(&mut buffer)).await;
    let length = received.expect("at once").expect("received");
    assert_eq!(code(&buffer[..length]), ResponseCode::ServFail);
    assert!(silent.asked().len() <= QUESTIONS);
}
