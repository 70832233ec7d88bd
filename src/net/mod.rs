//! HTTP: ports, listeners that drain, and what a handler learns about its caller.
//!
//! [`ports`] binds and names the process that holds a port; [`inherited`] takes sockets that
//! systemd bound; [`PortRanges`] are those of TCP routes; [`server`] accepts connections, does the
//! TLS handshake and passes requests to a [`server::Serve`]; [`caller`] is what platform handlers learn about the caller: scheme,
//! authority, address and request id; [`slow_body`] aborts requests whose body arrives too slowly;
//! [`paths`] normalizes paths before they are routed; [`cookies`] are those that apps cannot plant;
//! [`axum_port`] serves a router on a port of its own; [`range`] reads ranges of bytes;
//! [`progress`] tells a client what happens during a long request; [`http_client`] is how other
//! servers are asked, [`outside`] those on other machines.

pub mod axum_port;
pub mod caller;
pub mod cookies;
pub mod http_client;
pub mod inherited;
mod network;
pub mod origin;
pub mod outside;
pub mod paths;
mod port_ranges;
pub mod ports;
pub mod progress;
pub mod range;
pub mod server;
pub mod slow_body;

pub use caller::{RequestBase, RequestId, Scheme};
pub use network::{Network, NoNetwork};
pub use port_ranges::{PortRanges, PortRangesError};
