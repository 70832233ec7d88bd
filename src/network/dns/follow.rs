//! Serving on an address that comes and goes.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often an address that could not be bound is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Binds the present address and serves on it until it changes; runs until cancelled.
///
/// The address is that of a network of the daemon, which exists only while the network does. A port
/// that is taken there is told once, and tried again. `except` is served already.
pub async fn follow<S, F, E, B>(
    what: &str,
    mut addresses: watch::Receiver<Option<Ipv4Addr>>,
    except: IpAddr,
    bind: impl Fn(IpAddr) -> Result<S, B>,
    serve: impl Fn(S, CancellationToken) -> F,
    token: CancellationToken,
) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
    B: Display,
{
    let mut told = String::new();
    loop {
        let address = *addresses.borrow_and_update();
        let address = address.map(IpAddr::V4).filter(|one| *one != except);
        let bound = address.map(|address| (address, bind(address)));
        match bound {
            Some((address, Ok(sockets))) => {
                tracing::info!(%address, "{what} listens for containers");
                told.clear();
                let stop = token.child_token();
                let serving = serve(sockets, stop.clone());
                let mut serving = std::pin::pin!(serving);
                tokio::select! {
                    ended = &mut serving => return ended,
                    () = moved(&mut addresses, address) => {
                        stop.cancel();
                        serving.await?;
                    }
                }
            }
            Some((_, Err(error))) => {
                let text = error.to_string();
                if told != text {
                    tracing::warn!(error = %text, "{what} cannot listen for containers; trying again");
                    told = text;
                }
                tokio::select! {
                    () = token.cancelled() => return Ok(()),
                    () = tokio::time::sleep(RETRY) => {}
                    () = changed(&mut addresses) => {}
                }
            }
            None => tokio::select! {
                () = token.cancelled() => return Ok(()),
                () = changed(&mut addresses) => {}
            },
        }
    }
}

/// Returns when the address is another one. A network that is gone may come back with its address,
/// whose sockets then work on.
async fn moved(addresses: &mut watch::Receiver<Option<Ipv4Addr>>, from: IpAddr) {
    loop {
        changed(addresses).await;
        let now = *addresses.borrow_and_update();
        if now.is_some_and(|now| IpAddr::V4(now) != from) {
            return;
        }
    }
}

/// Never returns when nobody tells of addresses any more.
async fn changed(addresses: &mut watch::Receiver<Option<Ipv4Addr>>) {
    if addresses.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
