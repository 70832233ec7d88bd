//! Questions on connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::answer::Transport;
use super::exchange::{read_until, write};
use super::questions::{LARGEST_QUESTION, Outcome, Place, Questions};

/// The most connections at once, of all addresses.
pub(super) const CONNECTIONS: usize = 64;
/// How long a connection may wait for its next question, from the reply before.
const IDLE: Duration = Duration::from_secs(10);
/// How long a client may take to read a reply.
const WRITE: Duration = Duration::from_secs(5);
/// The most questions of a connection.
const MOST: usize = 1000;
/// Pause after a failed accept, as when file descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts for ever.
pub(super) async fn serve(
    questions: &Questions,
    listener: TcpListener,
    place: Place,
    connections: Arc<Semaphore>,
) {
    let mut serving = JoinSet::new();
    loop {
        // Others wait in the queue of the kernel until one ends.
        let Ok(permit) = connections.clone().acquire_owned().await else {
            return;
        };
        let accepted = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted,
                Some(_) = serving.join_next() => {}
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                let questions = questions.clone();
                serving.spawn(async move {
                    let _permit = permit;
                    if let Err(error) = converse(&questions, stream, place, peer).await {
                        tracing::debug!(%peer, %error, "a connection for DNS failed");
                    }
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection for DNS");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(
    questions: &Questions,
    mut stream: TcpStream,
    place: Place,
    peer: SocketAddr,
) -> std::io::Result<()> {
    // Unlike a listener's, it is never unspecified.
    let at: IpAddr = stream.local_addr()?.ip().to_canonical();
    for _ in 0..MOST {
        let deadline = Instant::now() + IDLE;
        let Some(question) = read_until(&mut stream, LARGEST_QUESTION, deadline).await? else {
            break;
        };
        let reply = match questions.consider(&question, Transport::Tcp, place, (at, peer)) {
            Outcome::Nothing => None,
            Outcome::Reply(reply) => Some(reply),
            Outcome::Ask(forwarding) => forwarding.reply().await,
        };
        let Some(reply) = reply else { break };
        timeout(WRITE, write(&mut stream, &reply)).await??;
    }
    Ok(())
}
