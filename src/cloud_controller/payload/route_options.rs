//! Options of a route: how the router balances its requests.
//!
//! `hash` and its options are only known while the feature flag `hash_based_routing` is enabled.
//! Stored options never contain a null: a null in a request removes the option.

use serde_json::{Map, Value, json};

use crate::cloud_controller::body::{Body, Invalid};
use crate::cloud_controller::error::{Error, Result};

const LARGEST: usize = 1024;

/// Whether requests may be spread by the hash of a header: the feature flag `hash_based_routing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Hashing {
    On,
    #[default]
    Off,
}

impl From<bool> for Hashing {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// The requested options, not validated yet: that needs the feature flag.
#[derive(Debug, Clone, Default)]
pub(crate) struct OptionsChange(Option<Map<String, Value>>);

impl OptionsChange {
    /// From `options` of a body.
    pub(crate) fn take(body: &mut Body) -> Self {
        match body.fields.nullable("options") {
            None => Self(None),
            Some(Value::Object(options)) => Self(Some(options)),
            Some(_) => {
                body.invalid.add("Options 'options' is not a valid object");
                Self(None)
            }
        }
    }

    /// From an object, as in manifests.
    pub(crate) fn of(options: Map<String, Value>) -> Self {
        Self((!options.is_empty()).then_some(options))
    }

    /// Whether there are no options.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// `current` with this change, validated.
    pub(crate) fn apply(
        self,
        current: &Map<String, Value>,
        hashing: Hashing,
    ) -> Result<Map<String, Value>> {
        let Some(change) = self.0 else {
            return Ok(current.clone());
        };
        check(&change, hashing)?;
        merge(current, change)
    }
}

fn present<'a>(options: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let blank = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    };
    options.get(name).filter(|value| !blank(value))
}

fn check(options: &Map<String, Value>, hashing: Hashing) -> Result<()> {
    let mut invalid = Invalid::default();
    let size = Value::Object(options.clone()).to_string().len();
    if size > LARGEST {
        invalid.add(format!(
            "Options must be smaller than {LARGEST} bytes (actual size is {size} bytes)"
        ));
    }
    let known: &[&str] = if hashing == Hashing::On {
        &["loadbalancing", "hash_header", "hash_balance"]
    } else {
        &["loadbalancing"]
    };
    let removes_hash = |name: &str| {
        matches!(name, "hash_header" | "hash_balance") && present(options, name).is_none()
    };
    let unknown: Vec<&str> = options
        .keys()
        .map(String::as_str)
        .filter(|name| !known.contains(name) && !removes_hash(name))
        .collect();
    if !unknown.is_empty() {
        invalid.add(format!(
            "Options Unknown field(s): '{}'",
            unknown.join("', '")
        ));
    }
    check_algorithm(options, hashing, &mut invalid);
    if hashing == Hashing::On {
        check_hashing(options, &mut invalid);
    }
    invalid.refuse()
}

fn check_algorithm(options: &Map<String, Value>, hashing: Hashing, invalid: &mut Invalid) {
    let mut algorithms = vec!["round-robin", "least-connection"];
    if hashing == Hashing::On {
        algorithms.push("hash");
    }
    if let Some(algorithm) = present(options, "loadbalancing")
        && !algorithm.as_str().is_some_and(|a| algorithms.contains(&a))
    {
        invalid.add(format!(
            "Options Loadbalancing must be one of '{}' if present",
            algorithms.join(", ")
        ));
    }
}

fn check_hashing(options: &Map<String, Value>, invalid: &mut Invalid) {
    let header = present(options, "hash_header").map(plain);
    let balance = present(options, "hash_balance").map(plain);
    if header.as_ref().is_some_and(|h| h.chars().count() > 128) {
        invalid.add("Options Hash header must be at most 128 characters");
    }
    if let Some(balance) = &balance {
        let in_range = |b: f64| b == 0.0 || (1.1..=10.0).contains(&b);
        if balance.len() > 16 {
            invalid.add("Options Hash balance must be at most 16 characters");
        } else {
            match balance.parse::<f64>() {
                Err(_) => invalid.add("Options Hash balance must be a numeric value"),
                Ok(b) if !in_range(b) => {
                    invalid.add("Options Hash balance must be either 0 or between 1.1 and 10.0");
                }
                Ok(_) => {}
            }
        }
    }
    let other = present(options, "loadbalancing").is_some_and(|algorithm| algorithm != "hash");
    for (given, name) in [(header, "Hash header"), (balance, "Hash balance")] {
        if other && given.is_some() {
            invalid.add(format!(
                "Options {name} can only be set when loadbalancing is hash"
            ));
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn merge(current: &Map<String, Value>, change: Map<String, Value>) -> Result<Map<String, Value>> {
    let mut options = current.clone();
    options.extend(change);
    options.retain(|_, value| !value.is_null());
    if options.get("loadbalancing").and_then(Value::as_str) == Some("hash") {
        if present(&options, "hash_header").is_none() {
            return Err(Error::unprocessable(
                "Hash header must be present when loadbalancing is set to hash.",
            ));
        }
        if let Some(balance) = present(&options, "hash_balance") {
            let rounded = plain(balance).parse::<f64>().unwrap_or_default();
            let rounded = (rounded * 10.0).round() / 10.0;
            options.insert("hash_balance".to_owned(), json!(format!("{rounded:.1}")));
        }
    } else {
        options.shift_remove("hash_header");
        options.shift_remove("hash_balance");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn options_are_checked() {
        let cases = [
            (json!({}), Hashing::Off, None),
            (
                json!({ "loadbalancing": "round-robin" }),
                Hashing::Off,
                None,
            ),
            (
                json!({ "loadbalancing": null, "hash_header": null }),
                Hashing::Off,
                None,
            ),
            (
                json!({ "loadbalancing": "hash", "hash_header": "X-A" }),
                Hashing::On,
                None,
            ),
            (
                json!({ "loadbalancing": "hash" }),
                Hashing::Off,
                Some(
                    "Options Loadbalancing must be one of 'round-robin, least-connection' if present",
                ),
            ),
            (
                json!({ "loadbalancing": 7 }),
                Hashing::On,
                Some(
                    "Options Loadbalancing must be one of 'round-robin, least-connection, hash' if present",
                ),
            ),
            (
                json!({ "speed": "high", "hash_header": "X-A" }),
                Hashing::Off,
                Some("Options Unknown field(s): 'speed', 'hash_header'"),
            ),
            (
                json!({ "loadbalancing": "round-robin", "hash_header": "X-A" }),
                Hashing::On,
                Some("Options Hash header can only be set when loadbalancing is hash"),
            ),
            (
                json!({ "loadbalancing": "hash", "hash_balance": 0.5 }),
                Hashing::On,
                Some("Options Hash balance must be either 0 or between 1.1 and 10.0"),
            ),
        ];
        for (options, hashing, fault) in cases {
            let result = check(&map(options.clone()), hashing);
            assert_eq!(
                result.err().map(|e| e.detail().to_owned()).as_deref(),
                fault,
                "{options}"
            );
        }
    }

    #[test]
    fn a_change_merges_and_null_removes() {
        let cases = [
            (
                json!({ "loadbalancing": "round-robin" }),
                json!({ "loadbalancing": null }),
                json!({}),
            ),
            (
                json!({}),
                json!({ "loadbalancing": "hash", "hash_header": "X-A", "hash_balance": 1.26 }),
                json!({ "loadbalancing": "hash", "hash_header": "X-A", "hash_balance": "1.3" }),
            ),
            (
                json!({ "loadbalancing": "hash", "hash_header": "X-A" }),
                json!({ "loadbalancing": "least-connection" }),
                json!({ "loadbalancing": "least-connection" }),
            ),
            (
                json!({ "loadbalancing": "hash", "hash_header": "X-A" }),
                json!({ "hash_header": "X-B" }),
                json!({ "loadbalancing": "hash", "hash_header": "X-B" }),
            ),
        ];
        for (current, change, result) in cases {
            let merged = merge(&map(current), map(change)).expect("valid");
            assert_eq!(Value::Object(merged), result);
        }
        let missing = merge(&Map::new(), map(json!({ "loadbalancing": "hash" })));
        assert!(missing.is_err());
    }
}
