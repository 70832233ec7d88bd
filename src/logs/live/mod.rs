//! Live consumers: every new envelope goes to those who want it, as soon as it is stored.
//!
//! The writer only hands over the stored blocks ([`Hub::offer`]); a worker decodes them, once for
//! all consumers, and puts the envelopes into a bounded queue for each. A consumer that reads too
//! slowly loses its oldest envelopes and is told how many ([`Item::Lost`]); one that takes nothing
//! for its whole patience is closed. So no consumer slows the writer or another consumer.
//!
//! Consumers of one [`Shard`] share its flow. Nothing of what was before the subscription is sent.

mod hub;
mod queue;
mod selection;
mod shard;
mod subscription;

use std::time::Duration;

pub(super) use hub::Hub;
pub use queue::{Item, Loss};
pub use selection::{Selection, Want};
pub use shard::Shard;
pub use subscription::Subscription;

/// A client that takes nothing for this long is closed.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);
/// The maximum number of clients.
const MAX_CLIENTS: usize = 500;

/// What a consumer asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name in warnings and in the platform's log, such as `log-stream`.
    pub name: &'static str,
    /// Which envelopes.
    pub selection: Selection,
    /// With whom it shares them.
    pub shard: Option<Shard>,
    /// Whether it is a client, which is closed when it takes nothing, and not a part of the
    /// platform.
    pub is_client: bool,
}

/// There are too many consumers already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {MAX_CLIENTS} log streams already")]
pub struct TooManyStreams;

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
