//! What becomes of a question: who may ask what, and whom to ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use rand::seq::SliceRandom;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::answer::{Answer, Transport, answer, failure};
use super::exchange::ask_any;
use super::names::{Asker, Names};
use super::resolvers::Resolvers;
use crate::base::Live;

/// The most questions that wait for other servers at once.
pub const QUESTIONS: usize = 256;
/// The largest question. Real ones have less than 600 bytes.
pub(super) const LARGEST_QUESTION: usize = 4096;

/// Settings of a responder.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the platform and the responder listen on this machine.
    pub bind: IpAddr,
    /// The port of the responder, on every address.
    pub port: u16,
    /// Who is asked for other names.
    pub resolvers: Resolvers,
    /// The gateway of the containers' network, while there is one.
    pub gateway: watch::Receiver<Option<Ipv4Addr>>,
    /// Brings addresses into another order.
    pub shuffle: fn(&mut [Ipv4Addr]),
}

impl Settings {
    /// With real randomness.
    pub fn new(
        (bind, port): (IpAddr, u16),
        resolvers: Resolvers,
        gateway: watch::Receiver<Option<Ipv4Addr>>,
    ) -> Self {
        Self {
            bind,
            port,
            resolvers,
            gateway,
            shuffle: |addresses| addresses.shuffle(&mut rand::rng()),
        }
    }
}

/// Which sockets a question came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Those on the platform's own address.
    Bind,
    /// Those on the gateway of the containers' network.
    Gateway,
}

/// A question that somebody else has to answer.
pub(super) struct Forwarding {
    question: Vec<u8>,
    limit: usize,
    servers: Vec<SocketAddr>,
    _permit: OwnedSemaphorePermit,
}

/// What becomes of a question.
pub(super) enum Outcome {
    Reply(Vec<u8>),
    Ask(Forwarding),
    Nothing,
}

/// Decides about questions; clones share the bounds.
#[derive(Clone)]
pub(super) struct Questions(Arc<Inner>);

struct Inner {
    names: Live<Names>,
    settings: Settings,
    waiting: Arc<Semaphore>,
}

impl Questions {
    pub(super) fn new(names: Live<Names>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            names,
            settings,
            waiting: Arc::new(Semaphore::new(QUESTIONS)),
        }))
    }

    /// Answers a question, or says whom to ask. `at` is the address of the socket.
    pub(super) fn consider(
        &self,
        question: &[u8],
        transport: Transport,
        place: Place,
        (at, peer): (IpAddr, SocketAddr),
    ) -> Outcome {
        let peer_ip = peer.ip().to_canonical();
        let seen = seen_by(at, peer);
        let names = self.0.names.get();
        let asker = Asker { platform: seen };
        let shuffle = &self.0.settings.shuffle;
        let limit = match answer(question, transport, asker, &names, shuffle) {
            Answer::Nothing => return Outcome::Nothing,
            Answer::Reply(reply) => return Outcome::Reply(reply),
            Answer::Forward { limit } => limit,
        };
        let is_container = place == Place::Gateway || self.is_gateway(seen);
        if !is_container && !peer_ip.is_loopback() && peer_ip != seen {
            return fail(question, ResponseCode::Refused);
        }
        let mut servers = self.0.settings.resolvers.servers();
        let came_from_loopback = place == Place::Bind && peer_ip.is_loopback();
        servers.retain(|server| {
            let may_have_asked = came_from_loopback && server.ip().is_loopback();
            !self.is_own(*server) && !may_have_asked
        });
        let permit = self.0.waiting.clone().try_acquire_owned();
        match permit {
            Ok(permit) if !servers.is_empty() => Outcome::Ask(Forwarding {
                question: question.to_vec(),
                limit,
                servers,
                _permit: permit,
            }),
            _ => fail(question, ResponseCode::ServFail),
        }
    }

    fn is_gateway(&self, address: IpAddr) -> bool {
        let gateway = *self.0.settings.gateway.borrow();
        gateway.is_some_and(|gateway| IpAddr::V4(gateway) == address)
    }

    /// Whether a server is this one. The gateway is, whatever the port: the usual one leads here.
    fn is_own(&self, server: SocketAddr) -> bool {
        let Settings { bind, port, .. } = self.0.settings;
        // From an address of this machine it reaches that address itself.
        let is_here = || address_towards(server).is_some_and(|own| own == server.ip());
        let same = server.ip() == bind || (bind.is_unspecified() && is_here());
        (server.port() == port && same) || self.is_gateway(server.ip())
    }
}

impl Forwarding {
    /// What the servers say; that they cannot say when none answers.
    pub(super) async fn reply(self) -> Option<Vec<u8>> {
        let reply = ask_any(&self.question, &self.servers, self.limit).await;
        reply.or_else(|| failure(&self.question, ResponseCode::ServFail))
    }
}

fn fail(question: &[u8], code: ResponseCode) -> Outcome {
    failure(question, code).map_or(Outcome::Nothing, Outcome::Reply)
}

/// The address of the platform for whoever asks.
fn seen_by(at: IpAddr, peer: SocketAddr) -> IpAddr {
    if !at.is_unspecified() {
        return at;
    }
    address_towards(peer).unwrap_or(if peer.is_ipv4() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv6Addr::LOCALHOST.into()
    })
}

/// The address of this machine from which it reaches `peer`. Connecting a datagram socket sends
/// nothing; it only asks the kernel.
fn address_towards(peer: SocketAddr) -> Option<IpAddr> {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let any: IpAddr = if peer.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
