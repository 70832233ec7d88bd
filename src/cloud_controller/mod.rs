//! Cloud Controller v3: desired state of organizations, spaces, apps and routes behind CC's API.
//!
//! The layers, from the bottom up; a layer uses those below it only (`tests/tidy` checks it):
//!
//! 1. [`error`], [`on_board`], [`state`]: refusals without HTTP; the optional parts that exist; database,
//!    engines and settings. Then [`body`], [`metadata`], [`query`]: how requests are read.
//! 2. [`access`]: who calls and what they may.
//! 3. [`model`]: what is on record, and all SQL.
//! 4. [`permits`]: proofs of access, which actions demand.
//! 5. [`payload`]: what clients ask for, checked without the database.
//! 6. [`actions`]: the rules of one resource each, in the caller's transaction.
//! 7. [`flows`]: what spans resources.
//! 8. [`v3`]: the API's envelope: contexts, errors, links, jobs.
//! 9. [`engines`]: what the engines ask of the Cloud Controller and tell it.
//! 10. [`api`]: routes, handlers, presenters.
//!
//! Invariants: handlers change desired state and return; nothing here talks to Docker. Reads hide
//! what one may not see as 404; writes answer 403; an effect never runs in a transaction.

pub(crate) mod access;
pub(crate) mod actions;
pub(crate) mod api;
pub(crate) mod body;
pub mod engines;
pub mod error;
pub(crate) mod flows;
pub(crate) mod metadata;
pub(crate) mod model;
pub mod on_board;
pub(crate) mod payload;
pub(crate) mod permits;
pub(crate) mod query;
pub mod state;
pub(crate) mod v3;
