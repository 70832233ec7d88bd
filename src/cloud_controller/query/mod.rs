//! Lists: the parsed query string ([`ListQuery`]), its SQL ([`Select`]) and the resulting page.

mod guid_set;
mod label_selector;
mod list;
mod list_query;
mod page;
mod select;

pub(crate) use label_selector::*;
pub(crate) use list::*;
pub(crate) use list_query::*;
pub(crate) use page::*;
pub(crate) use select::*;
