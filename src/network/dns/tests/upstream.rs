//! A DNS server that does what a test says.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// What a server does with a question.
#[derive(Clone, Debug)]
pub(super) enum Does {
    /// Sends the question back as a reply with this many bytes more.
    Replies(usize),
    /// A datagram says that there is more, a connection has this many bytes more.
    Truncates(usize),
    /// Replies with this code.
    Says(u8),
    /// Replies to another question first, then to this one.
    Mistakes,
    Nothing,
}

/// The server; its questions in the order in which they came.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
    _serving: tokio::task::JoinSet<()>,
}

impl Upstream {
    pub(super) fn start(does: Does) -> Self {
        let sockets = Sockets::bind(Ipv4Addr::LOCALHOST.into(), PortChoice::Exactly(0));
        let sockets = sockets.expect("bound");
        let address = sockets.address();
        sockets.udp.set_nonblocking(true).expect("set");
        let udp = tokio::net::UdpSocket::from_std(sockets.udp).expect("socket");
        let tcp = tokio::net::TcpListener::from_std(sockets.tcp).expect("socket");
        let asked: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let mut serving = tokio::task::JoinSet::new();
        let (does_udp, seen) = (does.clone(), asked.clone());
        serving.spawn(async move {
            let mut buffer = vec![0; 5000];
            loop {
                let (length, peer) = udp.recv_from(&mut buffer).await.expect("received");
                seen.lock().expect("lock").push(buffer[..length].to_vec());
                for reply in replies(&does_udp, &buffer[..length], false) {
                    udp.send_to(&reply, peer).await.expect("sent");
                }
            }
        });
        let seen = asked.clone();
        serving.spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.expect("accepted");
                let length = stream.read_u16().await.expect("length");
                let mut question = vec![0; usize::from(length)];
                stream.read_exact(&mut question).await.expect("question");
                seen.lock().expect("lock").push(question.clone());
                for reply in replies(&does, &question, true) {
                    let length = u16::try_from(reply.len()).expect("short");
                    stream.write_u16(length).await.expect("sent");
                    stream.write_all(&reply).await.expect("sent");
                }
            }
        });
        Self {
            address,
            asked,
            _serving: serving,
        }
    }

    pub(super) fn asked(&self) -> Vec<Vec<u8>> {
        self.asked.lock().expect("lock").clone()
    }
}

fn replies(does: &Does, question: &[u8], on_connection: bool) -> Vec<Vec<u8>> {
    let mut reply = question.to_vec();
    reply[2] |= 0x80;
    match does {
        Does::Replies(more) => reply.extend(vec![7; *more]),
        Does::Truncates(more) if on_connection => reply.extend(vec![7; *more]),
        Does::Truncates(_) => reply[2] |= 0x02,
        Does::Says(code) => reply[3] |= code,
        Does::Mistakes => {
            let mut other_id = reply.clone();
            other_id[0] ^= 1;
            let mut other_name = reply.clone();
            other_name[13] ^= 1;
            let mut no_reply = reply.clone();
            no_reply[2] &= 0x7f;
            return vec![other_id, other_name, no_reply, vec![1, 2], reply];
        }
        Does::Nothing => return Vec::new(),
    }
    vec![reply]
}
