//! The sockets of a server: datagrams here, connections in [`super::tcp`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::Transport;
use super::names::Names;
use super::questions::{LARGEST_QUESTION, Outcome, Place, Questions, Settings};
use super::sockets::Sockets;
use super::tcp;
use crate::base::Live;

/// Pause after an error of a socket, as when file descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// A DNS server; cheap to clone.
#[derive(Clone)]
pub struct Responder {
    questions: Questions,
    connections: Arc<Semaphore>,
}

impl Responder {
    /// Answers from `names`, once it serves.
    pub fn new(names: Live<Names>, settings: Settings) -> Self {
        Self {
            questions: Questions::new(names, settings),
            connections: Arc::new(Semaphore::new(tcp::CONNECTIONS)),
        }
    }

    /// Serves until cancelled.
    pub async fn serve(
        &self,
        sockets: Sockets,
        place: Place,
        token: CancellationToken,
    ) -> std::io::Result<()> {
        sockets.udp.set_nonblocking(true)?;
        sockets.tcp.set_nonblocking(true)?;
        let at = sockets.address().ip();
        let udp = Arc::new(UdpSocket::from_std(sockets.udp)?);
        let tcp = tokio::net::TcpListener::from_std(sockets.tcp)?;
        let connections = self.connections.clone();
        tokio::select! {
            () = token.cancelled() => {}
            () = self.serve_datagrams(udp, place, at) => {}
            () = tcp::serve(&self.questions, tcp, place, connections) => {}
        }
        Ok(())
    }

    async fn serve_datagrams(&self, socket: Arc<UdpSocket>, place: Place, at: IpAddr) {
        let mut asking = JoinSet::new();
        // One more byte, to notice what is too large.
        let mut buffer = vec![0; LARGEST_QUESTION + 1];
        loop {
            let received = tokio::select! {
                received = socket.recv_from(&mut buffer) => received,
                Some(_) = asking.join_next() => continue,
            };
            let (length, peer) = match received {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "cannot receive a DNS question");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if length > LARGEST_QUESTION {
                continue;
            }
            match self
                .questions
                .consider(&buffer[..length], Transport::Udp, place, (at, peer))
            {
                Outcome::Nothing => {}
                Outcome::Reply(reply) => send(&socket, &reply, peer).await,
                Outcome::Ask(forwarding) => {
                    let socket = socket.clone();
                    asking.spawn(async move {
                        if let Some(reply) = forwarding.reply().await {
                            send(&socket, &reply, peer).await;
                        }
                    });
                }
            }
        }
    }
}

async fn send(socket: &UdpSocket, reply: &[u8], peer: SocketAddr) {
    // A client that is gone asks again, or nobody needs the answer.
    if let Err(error) = socket.send_to(reply, peer).await {
        tracing::debug!(%peer, %error, "cannot send a DNS reply");
    }
}
