//! The whole router over real sockets: a front door on loopback, small apps behind it, and clients
//! that send raw bytes where needed.

mod exchanges;
mod failures;
mod harness;
mod heads;
mod http2;
mod interim;
mod platform;
mod route_services;
mod sessions;
mod start;
mod streams;
mod tls;
