//! `label_selector`: `env`, `!env`, `env=prod`, `env==prod`, `env!=prod`, `env in (a,b)`,
//! `env notin (a,b)`, joined by commas (all must hold).

use super::{ResourceType, key_fault};
use crate::cloud_controller::v3::error::{ApiError, ApiResult};
use crate::cloud_controller::v3::select::Select;

#[derive(Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

/// Adds the selector's conditions on `guid_column`.
pub(in crate::cloud_controller::v3) fn apply(
    select: &mut Select,
    text: &str,
    resource: ResourceType,
    guid_column: &str,
) -> ApiResult<()> {
    for requirement in parse(text)? {
        let (negated, key, values) = match requirement {
            Requirement::Exists(key) => (false, key, None),
            Requirement::Missing(key) => (true, key, None),
            Requirement::In(key, values) => (false, key, Some(values)),
            Requirement::NotIn(key, values) => (true, key, Some(values)),
        };
        let (prefix, name) = key.split_once('/').unwrap_or(("", &key));
        let mut parameters = vec![
            resource.as_str().to_owned(),
            prefix.to_owned(),
            name.to_owned(),
        ];
        let mut condition = "resource_type = ? and prefix = ? and name = ?".to_owned();
        if let Some(values) = values {
            let marks = vec!["?"; values.len()].join(", ");
            condition = format!("{condition} and value in ({marks})");
            parameters.extend(values);
        }
        let not = if negated { "not " } else { "" };
        let sql =
            format!("{guid_column} {not}in (select resource_guid from labels where {condition})");
        select.and(&sql, parameters);
    }
    Ok(())
}

fn parse(text: &str) -> ApiResult<Vec<Requirement>> {
    if text.trim().is_empty() {
        return Err(ApiError::bad_query("Missing label_selector value"));
    }
    split(text)
        .iter()
        .map(|part| requirement(part.trim()))
        .collect()
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

fn requirement(text: &str) -> ApiResult<Requirement> {
    let set = |rest: &str| -> Option<Vec<String>> {
        let inner = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|v| v.trim().to_owned()).collect())
    };
    let (key, requirement): (&str, Requirement) = if let Some((key, rest)) =
        text.split_once(" notin ")
        && let Some(values) = set(rest)
    {
        (key, Requirement::NotIn(key.to_owned(), values))
    } else if let Some((key, rest)) = text.split_once(" in ")
        && let Some(values) = set(rest)
    {
        (key, Requirement::In(key.to_owned(), values))
    } else if let Some((key, value)) = text.split_once("!=") {
        (
            key,
            Requirement::NotIn(key.to_owned(), vec![value.to_owned()]),
        )
    } else if let Some((key, value)) = text.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        (key, Requirement::In(key.to_owned(), vec![value.to_owned()]))
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Requirement::Missing(key.to_owned()))
    } else {
        (text, Requirement::Exists(text.to_owned()))
    };
    match key_fault(key) {
        None => Ok(requirement),
        Some(_) => Err(ApiError::bad_query(format!(
            "Invalid label_selector value: {text}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator() {
        let parsed =
            parse("a,!b,c=1,d==2,e!=3,f in (x, y),example.com/g notin (z)").expect("valid");
        let s = str::to_owned;
        assert_eq!(
            parsed,
            [
                Requirement::Exists(s("a")),
                Requirement::Missing(s("b")),
                Requirement::In(s("c"), vec![s("1")]),
                Requirement::In(s("d"), vec![s("2")]),
                Requirement::NotIn(s("e"), vec![s("3")]),
                Requirement::In(s("f"), vec![s("x"), s("y")]),
                Requirement::NotIn(s("example.com/g"), vec![s("z")]),
            ]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a b", ",", "=x", "a in x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
