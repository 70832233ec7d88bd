//! What is answered, and the server over real sockets.

mod answers;
mod forwarding;
mod moving;
mod upstream;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::base::Live;
use crate::net::ports::PortChoice;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 0, 91, 1);

fn names() -> Names {
    let mut names = Names::new("cf.example");
    names.add_internal_domains(["apps.internal".to_owned()]);
    let instances = |count: u16| {
        let all = (0..count).map(|number| {
            let [high, low] = number.to_be_bytes();
            Instance {
                index: u32::from(number),
                address: Ipv4Addr::new(172, 18, high + 1, low),
            }
        });
        all.collect()
    };
    for (name, count) in [("shop", 3), ("many", 200), ("huge", 5000), ("asleep", 0)] {
        names.add_internal_route(InternalRoute {
            name: format!("{name}.apps.internal"),
            instances: instances(count),
        });
    }
    names.add_public_hosts(["shop.example.org".to_owned()]);
    names
}

/// A question with recursion desired, as programs ask.
fn question(name: &str, kind: RecordType) -> Message {
    let name = Name::from_ascii(name).expect("a name");
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, kind));
    message
}

fn with_payload(mut message: Message, bytes: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(bytes);
    message.set_edns(edns);
    message
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().expect("valid")
}

fn addresses(message: &Message) -> Vec<String> {
    let text = |data: &RData| match data {
        RData::A(one) => one.to_string(),
        RData::AAAA(one) => one.to_string(),
        other => format!("{other:?}"),
    };
    message.answers.iter().map(|one| text(&one.data)).collect()
}

/// A server on loopback, where tests are this machine, and on an address that is its gateway.
struct Server {
    bind: SocketAddr,
    gateway: SocketAddr,
    token: CancellationToken,
    names: Live<Names>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

impl Server {
    fn start(upstream: Vec<SocketAddr>) -> Self {
        let sockets = |ip: IpAddr| Sockets::bind(ip, PortChoice::Exactly(0)).expect("bound");
        let bind = sockets(Ipv4Addr::LOCALHOST.into());
        let gateway = sockets(GATEWAY.into());
        let known = watch::Sender::new(Some(GATEWAY));
        let own = (bind.address().ip(), bind.address().port());
        let mut settings = Settings::new(own, Resolvers::fixed(upstream), known.subscribe());
        settings.shuffle = |addresses| addresses.reverse();
        let names = Live::new(names());
        let responder = Responder::new(names.clone(), settings);
        let token = CancellationToken::new();
        let server = Self {
            bind: bind.address(),
            gateway: gateway.address(),
            token: token.clone(),
            names,
        };
        let mut serving = tokio::task::JoinSet::new();
        for (sockets, place) in [(bind, Place::Bind), (gateway, Place::Gateway)] {
            let (responder, token) = (responder.clone(), token.clone());
            serving.spawn(async move { responder.serve(sockets, place, token).await });
        }
        serving.detach_all();
        server
    }
}
