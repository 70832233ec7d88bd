//! Shared parts of the v3 API: contexts, errors with CC's codes, lists, links and jobs.
//!
//! One request is: [`Context`] (caller, clock, URLs) → payload → one transaction
//! (`find_visible` = 404, `may_*` = 403, action) → presenter.

mod context;
mod error;
pub(crate) mod jobs;
mod list_body;
mod relationships;
mod screen;
pub(crate) mod upload;
mod urls;
mod warnings;

pub(crate) use context::*;
pub(crate) use error::*;
pub(crate) use list_body::*;
pub(crate) use relationships::*;
pub(crate) use screen::*;
pub(crate) use urls::*;
pub(crate) use warnings::*;
