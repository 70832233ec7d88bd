//! What all resources of the v3 API share: who calls, how bodies and queries are read, how lists
//! are built, how errors and metadata look.
//!
//! One request is: [`Context`] (caller, clock, URLs) → [`Body`] or [`ListQuery`] → one transaction
//! (`find_visible` = 404, `may_*` = 403, action) → presenter.

mod body;
mod caller;
mod context;
mod error;
mod guid_set;
mod links;
mod list;
mod list_body;
mod metadata;
mod page;
mod query;
mod relationships;
mod select;
mod text;
pub(crate) mod upload;
mod urls;
mod warnings;
mod whole;

pub(crate) use body::{Body, Fields, Invalid};
#[cfg(test)]
pub(crate) use caller::Authority;
pub(crate) use caller::Caller;
pub(crate) use context::{Context, JsonBody, YamlBody, caller_of};
pub(crate) use error::is_unique_violation;
pub use error::{ApiError, ApiResult, Kind};
pub(crate) use links::{ToOne, guid_data, related, related_one};
pub(crate) use list::{Listed, count, list, list_by_id, page_by_id};
pub(crate) use list_body::{Included, ListBody, with_included};
pub(crate) use metadata::{Metadata, MetadataChange, MetadataOfAll, ResourceType};
pub(crate) use query::{ListQuery, ListRules};
pub(crate) use select::{Column, OneOf, Select};
pub(crate) use text::{has_control, place_of_nul};
pub(crate) use urls::{Link, Urls};
pub(crate) use warnings::Warnings;
pub(crate) use whole::{MAX_DB_INT, Whole};
