//! `label_selector`: `env`, `!env`, `env=prod`, `env==prod`, `env!=prod`, `env in (a,b)`,
//! `env notin (a,b)`, joined by commas (all must match).
//!
//! Rules and texts: CC `app/messages/list_message.rb`, `models/helpers/metadata_helpers.rb`.

use super::{OneOf, Select};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{ResourceType, key_fault, name_fault};

/// Most requirements in one selector.
const MOST: usize = 50;

#[derive(Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

/// Adds conditions for the selector's requirements on the listed resources.
pub(crate) fn apply(select: &mut Select, text: &str, resource: ResourceType) -> Result<()> {
    for requirement in parse(text)? {
        let (wanted, key, values) = match requirement {
            Requirement::Exists(key) => (true, key, None),
            Requirement::Missing(key) => (false, key, None),
            Requirement::In(key, values) => (true, key, Some(values)),
            Requirement::NotIn(key, values) => (false, key, Some(values)),
        };
        let (prefix, name) = key.split_once('/').unwrap_or(("", &key));
        let mut parameters = vec![
            resource.as_str().to_owned().into(),
            prefix.to_owned().into(),
            name.to_owned().into(),
        ];
        let mut sql =
            "select resource_guid from labels where resource_type = ? and prefix = ? and name = ?"
                .to_owned();
        if let Some(values) = values {
            let one = OneOf::texts(&values);
            sql = format!("{sql} and value {}", one.sql());
            parameters.push(one.value());
        }
        select.and_labelled(wanted, sql, parameters);
    }
    Ok(())
}

/// As Cloud Controller parses it: blanks are significant, empty parts are ignored.
fn parse(text: &str) -> Result<Vec<Requirement>> {
    let parts = split(text);
    if parts.is_empty() {
        return Err(Error::bad_query("Missing label_selector value"));
    }
    if parts.len() > MOST {
        return Err(Error::bad_query(format!(
            "Too many label_selector requirements (maximum is {MOST})"
        )));
    }
    parts.into_iter().map(checked).collect()
}

/// Splits at commas outside of closed parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        let closed = text[at..].find(')').filter(|_| c == '(');
        if let Some(end) = closed {
            at += end + 1;
            continue;
        }
        if c == ',' {
            parts.push(&text[start..at]);
            start = at + 1;
        }
        at += c.len_utf8();
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

fn checked(text: &str) -> Result<Requirement> {
    let requirement =
        requirement(text).ok_or_else(|| Error::bad_query("Invalid label_selector value"))?;
    let (key, values): (&str, &[String]) = match &requirement {
        Requirement::Exists(key) | Requirement::Missing(key) => (key, &[]),
        Requirement::In(key, values) | Requirement::NotIn(key, values) => (key, values),
    };
    let mut named = values.iter().filter(|value| !value.is_empty());
    let fault = key_fault(key).or_else(|| named.find_map(|value| name_fault(value)));
    match fault {
        None => Ok(requirement),
        Some(fault) => Err(Error::bad_query(fault)),
    }
}

fn requirement(text: &str) -> Option<Requirement> {
    let set = |word: &str| -> Option<(String, Vec<String>)> {
        let (key, rest) = text.split_once(&format!(" {word} ("))?;
        Some((key.to_owned(), values(rest.strip_suffix(')')?)))
    };
    if let Some((key, values)) = set("in") {
        return Some(Requirement::In(key, values));
    }
    if let Some((key, values)) = set("notin") {
        return Some(Requirement::NotIn(key, values));
    }
    let in_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let (negated, rest) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = rest.find(|c| !in_key(c)).unwrap_or(rest.len());
    let (key, operation) = rest.split_at(end);
    if key.is_empty() {
        return None;
    }
    let key = key.to_owned();
    match (negated, operation) {
        (true, "") => Some(Requirement::Missing(key)),
        (false, "") => Some(Requirement::Exists(key)),
        (true, _) => None,
        (false, operation) => {
            if let Some(value) = operation.strip_prefix("!=") {
                return Some(Requirement::NotIn(key, values(value)));
            }
            let value = operation
                .strip_prefix("==")
                .or(operation.strip_prefix('='))?;
            Some(Requirement::In(key, values(value)))
        }
    }
}

/// An empty text means no values.
fn values(text: &str) -> Vec<String> {
    let mut values: Vec<String> = text.split(',').map(str::to_owned).collect();
    while values.last().is_some_and(String::is_empty) {
        values.pop();
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator() {
        let text = "a,!b,c=1,,d==2,e!=3,f in (x,y),example.com/g notin (z),h=";
        let parsed = parse(text).expect("valid");
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
                Requirement::In(s("h"), vec![]),
            ]
        );
    }

    #[test]
    fn invalid_selectors_are_refused() {
        let many = vec!["a"; 51].join(",");
        let cases = [
            ("", "Missing label_selector value"),
            (",", "Missing label_selector value"),
            ("a b", "Invalid label_selector value"),
            ("=x", "Invalid label_selector value"),
            ("a in x", "Invalid label_selector value"),
            ("!a=b", "Invalid label_selector value"),
            ("a, b", "Invalid label_selector value"),
            ("a=b in (c)", "'a=b' contains invalid characters"),
            ("a in (x, y)", "' y' contains invalid characters"),
            ("example.com/b/c", "key has more than one '/'"),
            ("-a", "'-a' starts or ends with invalid characters"),
            (
                many.as_str(),
                "Too many label_selector requirements (maximum is 50)",
            ),
        ];
        for (text, fault) in cases {
            let refused = parse(text).expect_err(text);
            assert_eq!(
                refused.detail(),
                format!("The query parameter is invalid: {fault}"),
                "{text}"
            );
        }
    }
}
