//! Servers on other machines: which addresses may be asked, how long they are waited for, and when
//! a failed request is worth another try.
//!
//! A client trusts the certificates of this machine's store and goes through the proxies that its
//! environment names. Every wait has a deadline ([`Patience`]).

mod address;
mod client;
mod patience;
#[cfg(test)]
pub(crate) mod scripted;

pub use address::Reach;
pub use client::{first_use, guarded, named, root_cause, trusted};
pub use patience::{Patience, Trouble, retry_after};
