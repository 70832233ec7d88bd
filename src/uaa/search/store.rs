//! SQL of searches: a filter becomes a condition of fixed fragments and bound values.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::Search;
use super::filter::{Comparison, Filter, Test};
use crate::db::{DbError, ReadTx};

/// What is searched.
pub(crate) struct Source {
    /// `select … from table`, without conditions.
    pub(crate) select: &'static str,
    /// The table alone, to count in.
    pub(crate) table: &'static str,
    /// Breaks ties of the order.
    pub(crate) key: &'static str,
}

/// One page of what is found, and how many there are in all.
pub(crate) fn search<T>(
    tx: &ReadTx<'_>,
    source: &Source,
    search: &Search,
    row: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<(Vec<T>, i64), DbError> {
    let mut values = Vec::new();
    let condition = match &search.filter {
        None => "1".to_owned(),
        Some(filter) => condition(filter, &mut values),
    };
    let count = format!("select count(*) from {} where {condition}", source.table);
    let total = tx
        .sql()
        .prepare_cached(&count)?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    let direction = if search.descending { "desc" } else { "asc" };
    let list = format!(
        "{} where {condition} order by {} {direction}, {} {direction} limit {} offset {}",
        source.select,
        search.sort.map_or("created_at", |sort| sort.column),
        source.key,
        search.limit,
        search.offset,
    );
    let mut statement = tx.sql().prepare_cached(&list)?;
    let rows = statement.query_map(params_from_iter(&values), row)?;
    Ok((rows.collect::<Result<_, _>>()?, total))
}

fn condition(filter: &Filter, values: &mut Vec<Value>) -> String {
    match filter {
        Filter::All(parts) => joined(parts, " and ", values),
        Filter::Any(parts) => joined(parts, " or ", values),
        Filter::One(attribute, test) => one(attribute.column, test, values),
    }
}

fn one(column: &str, test: &Test, values: &mut Vec<Value>) -> String {
    let mut bind = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    match test {
        Test::Equals(text) => format!("{column} = {} collate nocase", bind(text.clone().into())),
        Test::Contains(text) => {
            let text = bind(text.clone().into());
            format!("instr(lower({column}), lower({text})) > 0")
        }
        Test::StartsWith(text) => {
            let text = bind(text.clone().into());
            format!("instr(lower({column}), lower({text})) = 1")
        }
        Test::Time(comparison, time) => {
            let operator = match comparison {
                Comparison::Equal => "=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
            };
            format!("{column} {operator} {}", bind(time.as_micros().into()))
        }
        Test::Is(true) => format!("{column} = 1"),
        Test::Is(false) => format!("{column} = 0"),
        Test::Present => format!("{column} is not null"),
    }
}

fn joined(parts: &[Filter], word: &str, values: &mut Vec<Value>) -> String {
    let parts: Vec<String> = parts.iter().map(|part| condition(part, values)).collect();
    format!("({})", parts.join(word))
}
