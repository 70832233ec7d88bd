//! SQL of searches: a filter becomes a condition of fixed fragments and bound values.
//!
//! Filters have many shapes. Statements of simple ones are cached; those of others are not, so that
//! no caller can fill the memory with them.

use rusqlite::types::Value;
use rusqlite::{Row, Statement, params_from_iter};

use super::Search;
use super::filter::{Comparison, Filter, Test};
use crate::db::{DbError, ReadTx};

/// Statements of filters with at most this many comparisons are cached.
const SIMPLE: usize = 2;

/// The table to search.
pub(crate) struct Source {
    /// `select … from table`, without conditions.
    pub(crate) select: &'static str,
    /// The table alone, for counting.
    pub(crate) table: &'static str,
    /// Breaks ties of the order.
    pub(crate) key: &'static str,
}

/// One page of the results, and the total count.
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
    let tests = search.filter.as_ref().map_or(0, Filter::tests);
    let total = with_statement(tx, tests, &count, |statement| {
        statement.query_row(params_from_iter(&values), |row| row.get(0))
    })?;
    let direction = if search.descending { "desc" } else { "asc" };
    let marks = [values.len() + 1, values.len() + 2];
    values.extend([search.limit, search.offset].map(|n| Value::from(i64::from(n))));
    let list = format!(
        "{} where {condition} order by {} {direction}, {} {direction} limit ?{} offset ?{}",
        source.select,
        search.sort.map_or("created_at", |sort| sort.column),
        source.key,
        marks[0],
        marks[1],
    );
    let found = with_statement(tx, tests, &list, |statement| {
        statement
            .query_map(params_from_iter(&values), row)?
            .collect()
    })?;
    Ok((found, total))
}

fn with_statement<T>(
    tx: &ReadTx<'_>,
    tests: usize,
    sql: &str,
    work: impl FnOnce(&mut Statement<'_>) -> rusqlite::Result<T>,
) -> Result<T, DbError> {
    if tests > SIMPLE {
        return Ok(work(&mut tx.sql().prepare(sql)?)?);
    }
    let mut kept = tx.sql().prepare_cached(sql)?;
    Ok(work(&mut kept)?)
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
        Test::OneOf(texts) => {
            let texts = serde_json::json!(texts).to_string();
            let among = bind(texts.into());
            format!("{column} collate nocase in (select value from json_each({among}))")
        }
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
