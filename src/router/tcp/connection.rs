//! One connection of a client: an instance is found for it, then bytes are copied.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::relay::{self, Limits};
use crate::router::backend::dial;

/// When a connection has to end.
pub(super) struct Ends {
    /// The platform stops: what is idle ends.
    pub(super) draining: CancellationToken,
    /// At once.
    pub(super) cut: CancellationToken,
}

/// Serves a client until its connection ends.
pub(super) async fn serve(shared: &Shared, port: u16, mut client: TcpStream, ends: Ends) {
    let served = async {
        let connected = connect(shared, port);
        let limit = shared.settings.connect_timeout;
        let connected = tokio::time::timeout(limit, connected).await;
        let Ok(Some(mut instance)) = connected else {
            shared.figures.unreachable();
            tracing::info!(port, "closed a TCP connection: no instance answered");
            return;
        };
        let _open = shared.figures.begin();
        if let Err(error) = client.set_nodelay(true) {
            tracing::debug!(port, %error, "cannot set TCP_NODELAY");
        }
        let limits = Limits {
            idle: shared.settings.idle,
            draining: &ends.draining,
            drain_idle: shared.settings.drain_idle,
        };
        let ended = relay::relay(&mut client, &mut instance, limits, &shared.figures).await;
        if let Err(error) = ended {
            tracing::debug!(port, %error, "a TCP connection ended early");
        }
    };
    tokio::select! {
        () = served => {}
        () = ends.cut.cancelled() => {}
    }
}

/// A connection to the instance whose turn it is, else to another one that answers. The table is
/// read anew for every attempt, since it may change meanwhile.
async fn connect(shared: &Shared, port: u16) -> Option<TcpStream> {
    let mut tried = Vec::new();
    let mut turn = None;
    loop {
        let now = shared.clock.now();
        let state = {
            let table = shared.table.borrow();
            let pool = table.pool(port)?;
            let turn = *turn.get_or_insert_with(|| pool.next_turn());
            Arc::clone(pool.choose(turn, &tried, now)?)
        };
        tried.push(state.number);
        let dialled = dial(&state, shared.settings.dial_timeout).await;
        match dialled.map_err(|failure| failure.cause) {
            // Withdrawn in the moment of the answer: the address may be another app's by now.
            Ok(_) if state.is_withdrawn() => {}
            Ok(instance) => {
                state.clear_failure();
                return Some(instance);
            }
            Err(cause) => {
                state.mark_failed(now);
                tracing::debug!(port, %cause, "an instance of a TCP route did not answer");
            }
        }
    }
}
