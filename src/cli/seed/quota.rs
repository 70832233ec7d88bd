//! Quotas of organizations and of spaces in a file.

use anyhow::bail;
use serde_json::{Map, Value, json};

use super::super::fields::Fields;
use crate::base::Bytes;
use crate::base::yaml;
use crate::base::yaml::Node;

/// A quota: the limits that the file has, as the v3 API has them.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Quota {
    pub(in crate::cli) name: String,
    /// Field by group and name; null = unlimited.
    pub(in crate::cli) limits: Vec<Limit>,
    pub(in crate::cli) line: usize,
}

/// One limit.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Limit {
    group: &'static str,
    field: &'static str,
    value: Value,
}

/// How a limit is written in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A size such as `2G`, in megabytes.
    Size,
    /// A size such as `16K`, in bytes.
    Rate,
    Number,
    Flag,
}

/// A key of the file and what it is in the API.
type Key = (&'static str, &'static str, &'static str, Kind);

const KEYS: [Key; 10] = [
    ("memory", "apps", "total_memory_in_mb", Kind::Size),
    (
        "instance_memory",
        "apps",
        "per_process_memory_in_mb",
        Kind::Size,
    ),
    ("instances", "apps", "total_instances", Kind::Number),
    ("tasks", "apps", "per_app_tasks", Kind::Number),
    (
        "log_rate",
        "apps",
        "log_rate_limit_in_bytes_per_second",
        Kind::Rate,
    ),
    (
        "services",
        "services",
        "total_service_instances",
        Kind::Number,
    ),
    (
        "service_keys",
        "services",
        "total_service_keys",
        Kind::Number,
    ),
    (
        "paid_services",
        "services",
        "paid_services_allowed",
        Kind::Flag,
    ),
    ("routes", "routes", "total_routes", Kind::Number),
    ("ports", "routes", "total_reserved_ports", Kind::Number),
];
/// Only organizations have it.
const DOMAINS: Key = ("domains", "domains", "total_domains", Kind::Number);

pub(super) fn read_for_org(node: Node) -> anyhow::Result<Quota> {
    read(node, &[&KEYS[..], &[DOMAINS]].concat())
}

pub(super) fn read_for_space(node: Node) -> anyhow::Result<Quota> {
    read(node, &KEYS)
}

fn read(node: Node, keys: &[Key]) -> anyhow::Result<Quota> {
    let mut all = Fields::of(node, "a quota")?;
    let line = all.line();
    let name = all.required("name")?;
    let mut limits = Vec::new();
    for (key, group, field, kind) in keys.iter().copied() {
        let Some(node) = all.take(key) else {
            continue;
        };
        let line = node.line;
        let Some(value) = value(&node.value, kind) else {
            let wanted = match kind {
                Kind::Size => "a size such as 512M or 2G, or unlimited",
                Kind::Rate => "a size such as 16K, or unlimited",
                Kind::Number => "a whole number, or unlimited",
                Kind::Flag => "true or false",
            };
            bail!("line {line}: {key} of a quota has to be {wanted}");
        };
        limits.push(Limit {
            group,
            field,
            value,
        });
    }
    all.finish()?;
    Ok(Quota { name, limits, line })
}

fn value(given: &yaml::Value, kind: Kind) -> Option<Value> {
    match (given, kind) {
        (yaml::Value::Text(text), Kind::Size | Kind::Rate | Kind::Number)
            if text == "unlimited" =>
        {
            Some(Value::Null)
        }
        (yaml::Value::Text(text), Kind::Size) => {
            let size = Bytes::parse_short(text)?;
            (size.0 >= 1 << 20).then(|| json!(size.0 >> 20))
        }
        (yaml::Value::Text(text), Kind::Rate) => Some(json!(Bytes::parse_short(text)?.0)),
        (yaml::Value::Integer(number @ 0..), Kind::Number) => Some(json!(number)),
        (yaml::Value::Bool(on), Kind::Flag) => Some(json!(on)),
        _ => None,
    }
}

impl Quota {
    /// A quota from text as in a file, such as `memory=1G,routes=5`.
    pub(in crate::cli) fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        let mut document = format!("name: {}\n", json!(name));
        for pair in pairs {
            let Some((key, value)) = pair.split_once('=') else {
                bail!("{pair} is not a limit: write it as memory=1G");
            };
            document.extend([key.trim(), ": ", value.trim(), "\n"]);
        }
        let read = read_for_org(yaml::read(&document)?);
        read.map_err(|error| {
            let text = error.to_string();
            // The line is one of this text, not of a file.
            anyhow::anyhow!(
                "{}",
                text.split_once(": ")
                    .map_or(text.as_str(), |(_, rest)| rest)
            )
        })
    }

    /// The body that makes it, or gives an existing one these limits.
    pub(in crate::cli) fn body(&self) -> Value {
        let mut body = Map::from_iter([("name".to_owned(), json!(self.name))]);
        for limit in &self.limits {
            let group = body.entry(limit.group).or_insert_with(|| json!({}));
            group[limit.field] = limit.value.clone();
        }
        Value::Object(body)
    }

    /// What an existing quota has otherwise.
    pub(in crate::cli) fn differences(&self, existing: &Value) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::Null => "unlimited".to_owned(),
            value => value.to_string(),
        };
        let mut differences = Vec::new();
        for limit in &self.limits {
            let is = &existing[limit.group][limit.field];
            if *is != limit.value {
                differences.push(format!(
                    "{}: {} -> {}",
                    limit.field,
                    text(is),
                    text(&limit.value)
                ));
            }
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_api() {
        let quota = Quota::parse("a", "memory=2G,routes=unlimited,paid_services=false");
        let quota = quota.expect("valid");
        assert_eq!(
            quota.body(),
            json!({
                "name": "a",
                "apps": { "total_memory_in_mb": 2048 },
                "services": { "paid_services_allowed": false },
                "routes": { "total_routes": null },
            })
        );
        let existing = json!({
            "apps": { "total_memory_in_mb": 1024 },
            "services": { "paid_services_allowed": false },
            "routes": { "total_routes": 5 },
        });
        assert_eq!(
            quota.differences(&existing),
            [
                "total_memory_in_mb: 1024 -> 2048",
                "total_routes: 5 -> unlimited"
            ]
        );
        let unknown = Quota::parse("a", "memroy=2G").expect_err("refused");
        assert_eq!(
            unknown.to_string(),
            "unknown key \"memroy\" of a quota; did you mean \"memory\"?"
        );
        Quota::parse("a", "memory").expect_err("no value");
        Quota::parse("a", "memory=-1").expect_err("no size");
    }
}
