//! Serving and being served: ports, listeners that drain, and what a request says of its caller.
//!
//! [`ports`] binds and explains who is in the way; [`server`] accepts, shakes hands and hands
//! requests to a [`server::Serve`]; [`caller`] is what platform handlers learn about the caller:
//! under which scheme and authority they asked, from where, with which request id; [`slow_body`]
//! gives up clients that do not send what they announced; [`paths`] knows paths that are to be
//! tidied before they are routed.

pub mod caller;
pub mod origin;
pub mod paths;
pub mod ports;
pub mod server;
pub mod slow_body;

pub use caller::{RequestBase, RequestId, Scheme};
