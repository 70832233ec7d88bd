//! Following an address that comes and goes.

use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::net::ports;

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 93, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 93, 2);

/// Tells of what is served and what ended.
struct Followed {
    address: watch::Sender<Option<Ipv4Addr>>,
    events: mpsc::UnboundedReceiver<(IpAddr, &'static str)>,
    token: CancellationToken,
    _following: tokio::task::JoinSet<Result<(), Infallible>>,
}

fn start(port: u16) -> Followed {
    let address = watch::Sender::new(None);
    let (told, events) = mpsc::unbounded_channel();
    let token = CancellationToken::new();
    let mut following = tokio::task::JoinSet::new();
    let (addresses, stop) = (address.subscribe(), token.clone());
    following.spawn(async move {
        let bind = |ip| ports::bind(ip, PortChoice::Exactly(port));
        let serve = |listener: TcpListener, token: CancellationToken| {
            let (ip, told) = (listener.local_addr().expect("address").ip(), told.clone());
            async move {
                told.send((ip, "served")).expect("told");
                token.cancelled().await;
                told.send((ip, "ended")).expect("told");
                drop(listener);
                Ok(())
            }
        };
        let except = IpAddr::from([127, 0, 0, 1]);
        follow("a test", addresses, except, bind, serve, stop).await
    });
    Followed {
        address,
        events,
        token,
        _following: following,
    }
}

#[tokio::test]
async fn an_address_is_served_while_it_is_there() {
    let mut followed = start(0);
    followed.address.send_replace(Some(Ipv4Addr::LOCALHOST));
    followed.address.send_replace(Some(FIRST));
    let first = (IpAddr::V4(FIRST), "served");
    assert_eq!(followed.events.recv().await, Some(first));
    // It is away for a moment.
    followed.address.send_replace(None);
    followed.address.send_replace(Some(FIRST));
    followed.address.send_replace(Some(SECOND));
    let ended = (IpAddr::V4(FIRST), "ended");
    assert_eq!(followed.events.recv().await, Some(ended));
    let second = (IpAddr::V4(SECOND), "served");
    assert_eq!(followed.events.recv().await, Some(second));
    followed.token.cancel();
    let ended = (IpAddr::V4(SECOND), "ended");
    assert_eq!(followed.events.recv().await, Some(ended));
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_taken_is_tried_again() {
    let holder = TcpListener::bind((SECOND, 0)).expect("bound");
    let port = holder.local_addr().expect("address").port();
    let mut followed = start(port);
    followed.address.send_replace(Some(SECOND));
    let waiting = tokio::time::timeout(Duration::from_secs(12), followed.events.recv());
    assert!(waiting.await.is_err(), "the port is taken");
    drop(holder);
    let served = (IpAddr::V4(SECOND), "served");
    assert_eq!(followed.events.recv().await, Some(served));
}
