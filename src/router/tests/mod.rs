//! The whole router over real sockets: a front door on loopback, little apps behind it, clients
//! that speak raw bytes where bytes matter.

mod exchanges;
mod failures;
mod harness;
mod heads;
mod interim;
mod platform;
mod sessions;
mod streams;
mod tls;
