//! `created_ats` and `updated_ats`: one condition for all given times, and one for each relational
//! operator.

use std::collections::BTreeSet;

use super::split;
use crate::base::Timestamp;
use crate::cloud_controller::body::humanize;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::query::{Column, OneOf, Select};

/// A time in seconds matches all its microseconds.
const SECOND: i64 = 1_000_000;

/// Adds the conditions of the parameter `name` with and without operators. Of a repeated parameter
/// the last one is used.
pub(crate) fn filter(
    parameters: &[(String, String)],
    select: &mut Select,
    name: &str,
    column: Column<'_>,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (key, value) in parameters.iter().rev() {
        let Some(operator) = key.strip_prefix(name) else {
            continue;
        };
        if seen.insert(operator) {
            if operator.is_empty() {
                at(select, name, value, column)?;
            } else {
                related(select, (name, operator), value, column)?;
            }
        }
    }
    Ok(())
}

fn at(select: &mut Select, name: &str, value: &str, column: Column<'_>) -> Result<()> {
    let times = split(value)
        .iter()
        .map(|text| Ok(parse(name, text)?.as_micros()))
        .collect::<Result<Vec<_>>>()?;
    let first = times.iter().min().copied().unwrap_or_default();
    let last = times.iter().max().copied().unwrap_or_default();
    let bounds = [first.into(), (last + SECOND - 1).into()];
    if first == last {
        select.and_column(column, "between ? and ?", bounds);
        return Ok(());
    }
    // The index finds the rows between the first and the last time.
    let one = OneOf::numbers(&times);
    let rest = format!(
        "between ? and ? and {0} - {0} % {SECOND} {1}",
        column.name(),
        one.sql()
    );
    select.and_column(column, &rest, bounds.into_iter().chain([one.value()]));
    Ok(())
}

fn related(
    select: &mut Select,
    (name, operator): (&str, &str),
    value: &str,
    column: Column<'_>,
) -> Result<()> {
    let (sql, added) = match operator {
        "[gt]" => ("> ?", SECOND - 1),
        "[gte]" => (">= ?", 0),
        "[lt]" => ("< ?", 0),
        "[lte]" => ("<= ?", SECOND - 1),
        other => {
            let shown = other.trim_matches(['[', ']']);
            return Err(Error::bad_query(format!(
                "{} Invalid relational operator: '{shown}'",
                humanize(name)
            )));
        }
    };
    if value.contains(',') {
        return Err(Error::bad_query(format!(
            "{} only accepts one value when using a relational operator",
            humanize(name)
        )));
    }
    select.and_column(column, sql, [parse(name, value)?.as_micros() + added]);
    Ok(())
}

fn parse(name: &str, text: &str) -> Result<Timestamp> {
    let shaped = text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    shaped.then(|| Timestamp::parse(text)).flatten().ok_or_else(|| {
        Error::bad_query(format!(
            "{} has an invalid timestamp format. Timestamps should be formatted as 'YYYY-MM-DDThh:mm:ssZ'",
            humanize(name)
        ))
    })
}
