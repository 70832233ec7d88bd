//! The marketplace: the platform's side of the Open Service Broker API.
//!
//! [`Marketplace`] is a worker that does one request after the other of the operations its owner has on
//! record ([`Operations`]): catalogs, provisioning, binding, polling, and removing what may be left
//! behind at a broker. It keeps nothing in memory: what is to be asked is on record before a broker is
//! asked, and what came of it is stored in one transaction. After `kill -9` the request is sent again;
//! the API says that repeating it changes nothing.
//!
//! - [`request`] is what is asked, [`client`] sends it, [`outcome`] tells what an answer means and
//!   whether something may be left behind (pure, a table), [`schedule`] says when to ask next (pure).
//! - [`catalog`] reads and checks a catalog, with Cloud Controller's rules and texts.
//!
//! Decisions:
//! - A broker is never trusted: redirects are not followed, every request has a deadline, every body a
//!   limit, and bodies that may hold credentials appear in no text.
//! - Version 2.17 is announced; a broker that refuses it (412) is asked with an older one, which is
//!   remembered.

pub mod catalog;
pub mod client;
pub mod outcome;
pub mod request;
pub mod schedule;
mod volume_mounts;
mod worker;

pub use client::Client;
pub use outcome::{Answer, Fault, FaultKind, Outcome};
pub use request::{Broker, Request};
pub use worker::{Marketplace, Parts};

use crate::base::Timestamp;
use crate::db::{DbError, ReadTx, WriteTx};

/// An operation that has a next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its row.
    pub id: i64,
    /// Whom it concerns: few requests at once reach one broker.
    pub broker: String,
    /// When its next step is due.
    pub due: Timestamp,
}

/// One request to a broker.
#[derive(Debug, Clone)]
pub struct Step {
    /// Whom to ask.
    pub broker: Broker,
    /// What.
    pub request: Request,
    /// On whose behalf, if on anybody's.
    pub user: Option<String>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Asked {
    /// What the answer means.
    pub outcome: Outcome,
    /// The version of the API the broker agreed to, when it refused the newest.
    pub version: Option<String>,
}

/// The operations on record.
pub trait Operations: Send + Sync + 'static {
    /// Operations with a next step, by the time it is due.
    fn open(&self, tx: &ReadTx<'_>) -> Result<Vec<Open>, DbError>;

    /// Writes down that the next step of an operation is taken, and says what to ask; `None` when
    /// there is nothing to ask (any more).
    fn begin(&self, tx: &WriteTx<'_>, id: i64, now: Timestamp) -> Result<Option<Step>, DbError>;

    /// Stores what came of it.
    fn done(&self, tx: &WriteTx<'_>, id: i64, asked: Asked, now: Timestamp) -> Result<(), DbError>;
}
