//! The ports that are open: which should be ([`plan`], pure), binding and closing them, and what
//! they accept.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::TcpRouter;
use crate::net::ports::{self, PortChoice};

/// After a failed accept, so that a machine without file descriptors is not kept busy.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What to do so that the wanted ports are open.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Open ones that nobody wants any more.
    pub(super) close: Vec<u16>,
    /// To be bound now.
    pub(super) open: Vec<u16>,
    /// Ones that could not be bound, and that nobody wants any more.
    pub(super) forget: Vec<u16>,
}

/// `failed` are the ports that could not be bound, and when each may be tried again.
pub(super) fn plan(
    open: &BTreeSet<u16>,
    failed: &BTreeMap<u16, Instant>,
    wanted: &BTreeSet<u16>,
    now: Instant,
) -> Plan {
    let may_try = |port: &u16| failed.get(port).is_none_or(|again| *again <= now);
    Plan {
        close: open.difference(wanted).copied().collect(),
        open: { wanted.difference(open) }
            .filter(|port| may_try(port))
            .copied()
            .collect(),
        forget: { failed.keys() }
            .filter(|port| !wanted.contains(port))
            .copied()
            .collect(),
    }
}

/// What the worker does next.
pub(super) enum Turn {
    /// The platform stops.
    Stop,
    /// The ports may have to change.
    Adjust,
    /// A client connected to this port.
    Accepted(u16, TcpStream),
}

/// Ports that are open, and those that could not be bound.
#[derive(Default)]
pub(super) struct Ports {
    listeners: BTreeMap<u16, TcpListener>,
    failed: BTreeMap<u16, Instant>,
    /// The port after which the next look begins, so that a busy one keeps no other from its turn.
    last: u16,
}

impl Ports {
    /// Opens and closes ports.
    pub(super) fn adjust(&mut self, router: &TcpRouter, wanted: &BTreeSet<u16>) {
        let open = self.listeners.keys().copied().collect();
        let now = Instant::now();
        let plan = plan(&open, &self.failed, wanted, now);
        for port in plan.close {
            self.listeners.remove(&port);
            tracing::info!(port, "closed the port of a TCP route");
        }
        for port in plan.forget {
            self.failed.remove(&port);
            router.unavailable().remove(&port);
        }
        for port in plan.open {
            match bind(router, port) {
                Ok(listener) => {
                    self.listeners.insert(port, listener);
                    self.failed.remove(&port);
                    router.unavailable().remove(&port);
                    tracing::info!(port, "opened the port of a TCP route");
                }
                Err(reason) => {
                    let retry = router.shared.settings.retry;
                    self.failed.insert(port, now + retry);
                    let known = router.unavailable().insert(port, reason.clone());
                    if known.as_ref() != Some(&reason) {
                        let seconds = retry.as_secs();
                        tracing::warn!(port, %reason, "cannot open the port of a TCP route; retrying every {seconds} s");
                    }
                }
            }
        }
        let open = self.listeners.keys().copied().collect();
        router.shared.figures.set_ports(open);
    }

    /// Waits for a client, or until a port may be tried again.
    pub(super) async fn next(&mut self) -> Turn {
        let again = self.failed.values().min().copied();
        let retry = async {
            match again {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let accepted = poll_fn(|cx| self.poll_accept(cx));
        let (port, accepted) = tokio::select! {
            biased;
            () = retry => return Turn::Adjust,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok(client) => Turn::Accepted(port, client),
            Err(error) => {
                tracing::warn!(port, %error, "cannot accept a connection to a TCP route");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                Turn::Adjust
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(u16, io::Result<TcpStream>)> {
        let after = self.listeners.range(self.last.saturating_add(1)..);
        let before = self.listeners.range(..=self.last);
        for (port, listener) in after.chain(before) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                self.last = *port;
                return Poll::Ready((*port, accepted.map(|(client, _)| client)));
            }
        }
        Poll::Pending
    }
}

fn bind(router: &TcpRouter, port: u16) -> Result<TcpListener, String> {
    let socket = ports::bind(router.shared.settings.bind, PortChoice::Exactly(port));
    let socket = socket.map_err(|error| error.to_string())?;
    TcpListener::from_std(socket).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Open and failed ports, wanted ones, and those to close, to open and to forget.
    type Case<'a> = (&'a [u16], &'a [(u16, Instant)], &'a [u16], [&'a [u16]; 3]);

    #[test]
    fn ports_are_opened_closed_and_tried_again() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let cases: [Case<'_>; 7] = [
            (&[], &[], &[], [&[], &[], &[]]),
            (&[], &[], &[1, 2], [&[], &[1, 2], &[]]),
            (&[1, 2], &[], &[1, 2], [&[], &[], &[]]),
            (&[1, 2], &[], &[2, 3], [&[1], &[3], &[]]),
            // Not yet; now; and nobody wants it any more.
            (&[1], &[(2, later)], &[1, 2], [&[], &[], &[]]),
            (&[1], &[(2, now)], &[1, 2], [&[], &[2], &[]]),
            (&[1], &[(2, now)], &[1], [&[], &[], &[2]]),
        ];
        for (open, failed, wanted, [close, to_open, forget]) in cases {
            let planned = plan(
                &open.iter().copied().collect(),
                &failed.iter().copied().collect(),
                &wanted.iter().copied().collect(),
                now,
            );
            let expected = Plan {
                close: close.to_vec(),
                open: to_open.to_vec(),
                forget: forget.to_vec(),
            };
            assert_eq!(planned, expected, "{open:?} {wanted:?}");
        }
    }
}
