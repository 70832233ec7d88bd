//! Lists: what a query string asks for ([`ListQuery`]), the SQL that finds it ([`Select`]) and the
//! page that is shown.

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
