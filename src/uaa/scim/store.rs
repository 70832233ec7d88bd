//! SQL of user searches: a filter becomes a condition of fixed fragments and bound values.

use rusqlite::params_from_iter;

use super::filter::{Attribute, Filter, Test};
use crate::db::{DbError, ReadTx};
use crate::uaa::users::User;
use crate::uaa::users::store::{select_users, user};

/// What to look for and which part of it to return.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) filter: Option<Filter>,
    pub(crate) sort: Sort,
    pub(crate) descending: bool,
    pub(crate) offset: u32,
    pub(crate) limit: u32,
}

/// Order of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Created,
    Attribute(Attribute),
}

/// One page of the users found, and how many there are in all.
pub(super) fn search(tx: &ReadTx<'_>, search: &Search) -> Result<(Vec<User>, i64), DbError> {
    let mut values = Vec::new();
    let condition = match &search.filter {
        None => "1".to_owned(),
        Some(filter) => condition(filter, &mut values),
    };
    let count = format!("select count(*) from users where {condition}");
    let total = tx
        .sql()
        .prepare_cached(&count)?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    let direction = if search.descending { "desc" } else { "asc" };
    let list = format!(
        "{} where {condition} order by {} {direction}, guid {direction} limit {} offset {}",
        select_users!(""),
        match search.sort {
            Sort::Created => "created_at",
            Sort::Attribute(attribute) => column(attribute),
        },
        search.limit,
        search.offset,
    );
    let mut statement = tx.sql().prepare_cached(&list)?;
    let rows = statement.query_map(params_from_iter(&values), user)?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}

const fn column(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Id => "guid",
        Attribute::UserName => "user_name",
        Attribute::Origin => "origin",
        Attribute::ExternalId => "external_id",
        Attribute::Email => "email",
        Attribute::GivenName => "given_name",
        Attribute::FamilyName => "family_name",
        Attribute::Active => "active",
        Attribute::Verified => "verified",
    }
}

fn condition(filter: &Filter, values: &mut Vec<String>) -> String {
    match filter {
        Filter::All(parts) => joined(parts, " and ", values),
        Filter::Any(parts) => joined(parts, " or ", values),
        Filter::One(attribute, test) => {
            let column = column(*attribute);
            let mut bind = |value: &String| {
                values.push(value.clone());
                format!("?{}", values.len())
            };
            match test {
                Test::Equals(value) => format!("{column} = {} collate nocase", bind(value)),
                Test::Contains(value) => {
                    format!("instr(lower({column}), lower({})) > 0", bind(value))
                }
                Test::StartsWith(value) => {
                    format!("instr(lower({column}), lower({})) = 1", bind(value))
                }
                Test::Is(true) => format!("{column} = 1"),
                Test::Is(false) => format!("{column} = 0"),
                Test::Present => format!("{column} is not null"),
            }
        }
    }
}

fn joined(parts: &[Filter], word: &str, values: &mut Vec<String>) -> String {
    let parts: Vec<String> = parts.iter().map(|part| condition(part, values)).collect();
    format!("({})", parts.join(word))
}
