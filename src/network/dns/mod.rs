//! A DNS server for the names of the platform: internal names of apps (`apps.internal`), the system
//! domain, and the hosts of routes on other domains. Everything else is asked of this machine's own
//! resolvers, byte for byte.
//!
//! A question goes through [`answer()`], which is pure: it says what to reply from the present
//! [`Names`], or that the question is not ours. `questions` decides who may ask what and whom to ask,
//! within bounds, and [`Responder`] has the sockets. It listens on the address of the platform
//! ([`Place::Bind`]) and on the gateway of the network of the containers ([`Place::Gateway`]), which
//! comes and goes with that network ([`follow()`]).
//!
//! Invariants:
//! - A name below a domain of ours is never asked of anybody else, whether it exists or not.
//! - Whoever is neither this machine nor one of its containers gets only names of ours, so that this
//!   is no open resolver where the platform listens for other machines.
//! - What came from this machine's loopback is not sent to a server on its loopback: such a server may
//!   have sent it.
//! - At most [`QUESTIONS`] questions wait for other servers, and none longer than [`PATIENCE`].
//!
//! Decisions:
//! - A name of ours that does not exist gets NOERROR without records, as from Cloud Foundry's own
//!   service discovery. Resolvers take it for "not there" like NXDOMAIN, but no resolver may conclude
//!   from it that the names below do not exist (RFC 8020), and without a SOA none keeps it (RFC 2308):
//!   the name works as soon as an instance runs.
//! - Offline a name of others gets SERVFAIL: nobody was asked, so nothing is known of it. Resolvers do
//!   not keep that, while NXDOMAIN would be remembered by programs after the network is back.

mod answer;
mod client;
mod exchange;
mod follow;
mod names;
mod questions;
mod resolvers;
mod responder;
mod sockets;
mod tcp;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Transport, answer};
pub use client::ask;
pub use exchange::PATIENCE;
pub use follow::follow;
pub use names::{Asker, HOST_NAME, Instance, InternalRoute, Names, OWN_DOMAIN};
pub use questions::{Place, QUESTIONS, Settings};
pub use resolvers::{Files, Resolvers};
pub use responder::Responder;
pub use sockets::Sockets;
