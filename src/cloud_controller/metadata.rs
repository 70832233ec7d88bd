//! Labels and annotations of every kind of resource: validation, storage, presentation.
//!
//! Rules: CC `app/messages/metadata_validator_helper.rb`. A change merges into the stored metadata;
//! a null value removes a key. Triggers delete the metadata of a deleted resource.

use std::collections::HashMap;

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::db::{ReadTx, WriteTx};

const LONGEST_NAME: usize = 63;
const LONGEST_PREFIX: usize = 253;
const LONGEST_ANNOTATION: usize = 5000;
/// Limits per resource, Cloud Controller's defaults.
const MOST_LABELS: i64 = 50;
const MOST_ANNOTATIONS: i64 = 200;

/// Kinds of resources with metadata, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceType {
    App,
    Build,
    Buildpack,
    Deployment,
    Domain,
    Droplet,
    IsolationSegment,
    Organization,
    Package,
    Process,
    Revision,
    Route,
    ServiceBroker,
    ServiceCredentialBinding,
    ServiceInstance,
    ServiceOffering,
    ServicePlan,
    ServiceRouteBinding,
    Space,
    Stack,
    Task,
    User,
}

impl ResourceType {
    /// The text in SQL.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Build => "build",
            Self::Buildpack => "buildpack",
            Self::Deployment => "deployment",
            Self::Domain => "domain",
            Self::Droplet => "droplet",
            Self::IsolationSegment => "isolation_segment",
            Self::Organization => "organization",
            Self::Package => "package",
            Self::Process => "process",
            Self::Revision => "revision",
            Self::Route => "route",
            Self::ServiceBroker => "service_broker",
            Self::ServiceCredentialBinding => "service_credential_binding",
            Self::ServiceInstance => "service_instance",
            Self::ServiceOffering => "service_offering",
            Self::ServicePlan => "service_plan",
            Self::ServiceRouteBinding => "service_route_binding",
            Self::Space => "space",
            Self::Stack => "stack",
            Self::Task => "task",
            Self::User => "user",
        }
    }
}

/// The metadata of a resource.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Metadata {
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
}

/// The metadata of the resources of a list.
#[derive(Debug, Default)]
pub(crate) struct MetadataOfAll {
    known: HashMap<String, Metadata>,
    none: Metadata,
}

impl MetadataOfAll {
    /// The metadata of one of them.
    pub(crate) fn of(&self, guid: &str) -> &Metadata {
        self.known.get(guid).unwrap_or(&self.none)
    }
}

/// A requested change: key → new value, `None` = remove.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MetadataChange {
    labels: Vec<(String, Option<String>)>,
    annotations: Vec<(String, Option<String>)>,
}

impl Body {
    /// Takes `metadata` out and validates it.
    pub(crate) fn metadata(&mut self) -> MetadataChange {
        let Some(value) = self.fields.take("metadata") else {
            return MetadataChange::default();
        };
        let Value::Object(mut map) = value else {
            self.invalid.add("Metadata must be an object");
            return MetadataChange::default();
        };
        let labels = map.shift_remove("labels").unwrap_or(Value::Null);
        let annotations = map.shift_remove("annotations").unwrap_or(Value::Null);
        if !map.is_empty() {
            let names: Vec<String> = map.keys().map(|k| format!("'{k}'")).collect();
            self.invalid.add(format!(
                "Metadata has unexpected field(s): {}",
                names.join(" ")
            ));
        }
        MetadataChange {
            labels: self.pairs(labels, "labels", label_fault),
            annotations: self.pairs(annotations, "annotations", annotation_fault),
        }
    }

    fn pairs(
        &mut self,
        value: Value,
        name: &str,
        fault: fn(&str, Option<&str>) -> Option<String>,
    ) -> Vec<(String, Option<String>)> {
        let map = match value {
            Value::Null => return Vec::new(),
            Value::Object(map) => map,
            _ => {
                self.invalid
                    .add(format!("Metadata '{name}' is not an object"));
                return Vec::new();
            }
        };
        let pairs: Vec<_> = map
            .into_iter()
            .map(|(key, value)| (key, text(value)))
            .collect();
        for (key, value) in &pairs {
            if let Some(fault) = fault(key, value.as_deref()) {
                self.invalid.add(format!("Metadata {fault}"));
            }
        }
        pairs
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

impl MetadataChange {
    /// Stores the change.
    pub(crate) fn store(&self, tx: &WriteTx<'_>, resource: ResourceType, guid: &str) -> Result<()> {
        store(tx, "labels", &self.labels, resource, guid)?;
        store(tx, "annotations", &self.annotations, resource, guid)
    }
}

/// The guids of a resource whose metadata is copied, and of the one that gets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between<'a> {
    pub from: &'a str,
    pub to: &'a str,
}

impl Metadata {
    /// Reads a resource's metadata.
    pub(crate) fn load(tx: &ReadTx<'_>, resource: ResourceType, guid: &str) -> Result<Self> {
        Ok(Self {
            labels: load(tx, "labels", resource, guid)?,
            annotations: load(tx, "annotations", resource, guid)?,
        })
    }

    /// Reads the metadata of all resources of a list at once.
    pub(crate) fn of_all<'a>(
        tx: &ReadTx<'_>,
        resource: ResourceType,
        guids: impl Iterator<Item = &'a str>,
    ) -> Result<MetadataOfAll> {
        let guids = guids.collect::<Value>().to_string();
        let mut all = MetadataOfAll::default();
        for table in ["labels", "annotations"] {
            let sql = format!(
                "select resource_guid, prefix, name, value from {table} where resource_type = ?1 \
                 and resource_guid in (select value from json_each(?2)) order by resource_guid, prefix, name"
            );
            let mut statement = tx.sql().prepare_cached(&sql)?;
            let mut rows = statement.query(params![resource.as_str(), guids])?;
            while let Some(row) = rows.next()? {
                let metadata = all.known.entry(row.get(0)?).or_default();
                let pairs = if table == "labels" {
                    &mut metadata.labels
                } else {
                    &mut metadata.annotations
                };
                let (key, value) = pair(row, 1)?;
                pairs.insert(key, value);
            }
        }
        Ok(all)
    }

    /// Copies one resource's metadata to another of its kind.
    pub(crate) fn copy(
        tx: &WriteTx<'_>,
        resource: ResourceType,
        between: Between<'_>,
    ) -> Result<()> {
        for table in ["labels", "annotations"] {
            let sql = format!(
                "insert into {table} select resource_type, ?3, prefix, name, value from {table} \
                 where resource_type = ?1 and resource_guid = ?2"
            );
            let mut statement = tx.sql().prepare_cached(&sql)?;
            statement.execute(params![resource.as_str(), between.from, between.to])?;
        }
        Ok(())
    }

    /// `{"labels": …, "annotations": …}`.
    pub(crate) fn present(&self) -> Value {
        json!(self)
    }

    /// Only the labels.
    pub(crate) fn labels(&self) -> &Map<String, Value> {
        &self.labels
    }

    /// Only the annotations.
    pub(crate) fn annotations(&self) -> &Map<String, Value> {
        &self.annotations
    }
}

fn load(
    tx: &ReadTx<'_>,
    table: &str,
    resource: ResourceType,
    guid: &str,
) -> Result<Map<String, Value>> {
    let sql = format!(
        "select prefix, name, value from {table} where resource_type = ?1 and resource_guid = ?2 order by prefix, name"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map(params![resource.as_str(), guid], |row| pair(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Key and value from the columns prefix, name, value.
fn pair(row: &Row<'_>, first: usize) -> rusqlite::Result<(String, Value)> {
    let (prefix, name): (String, String) = (row.get(first)?, row.get(first + 1)?);
    let key = if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    };
    Ok((key, Value::String(row.get(first + 2)?)))
}

fn store(
    tx: &WriteTx<'_>,
    table: &str,
    pairs: &[(String, Option<String>)],
    resource: ResourceType,
    guid: &str,
) -> Result<()> {
    let sql =
        format!("select count(*) from {table} where resource_type = ?1 and resource_guid = ?2");
    let count = || -> Result<i64> {
        let mut statement = tx.sql().prepare_cached(&sql)?;
        Ok(statement.query_row([resource.as_str(), guid], |row| row.get(0))?)
    };
    let before = count()?;
    for (key, value) in pairs {
        let (prefix, name) = key.split_once('/').unwrap_or(("", key));
        match value {
            Some(value) => {
                let sql = format!(
                    "insert into {table} (resource_type, resource_guid, prefix, name, value) \
                     values (?1, ?2, ?3, ?4, ?5) \
                     on conflict (resource_type, resource_guid, prefix, name) do update set value = excluded.value"
                );
                tx.sql().prepare_cached(&sql)?.execute(params![
                    resource.as_str(),
                    guid,
                    prefix,
                    name,
                    value
                ])?;
            }
            None => {
                let sql = format!(
                    "delete from {table} where resource_type = ?1 and resource_guid = ?2 and prefix = ?3 and name = ?4"
                );
                tx.sql().prepare_cached(&sql)?.execute(params![
                    resource.as_str(),
                    guid,
                    prefix,
                    name
                ])?;
            }
        }
    }
    let (kind, most) = match table {
        "labels" => (Kind::LabelLimitExceeded, MOST_LABELS),
        _ => (Kind::AnnotationLimitExceeded, MOST_ANNOTATIONS),
    };
    let after = count()?;
    if after > before && after > most {
        let added = pairs.len();
        return Err(Error::new(
            kind,
            format!("Failed to add {added} {table} because it would exceed maximum of {most}"),
        ));
    }
    Ok(())
}

fn label_fault(key: &str, value: Option<&str>) -> Option<String> {
    if let Some(fault) = key_fault(key) {
        return Some(format!("label key error: {fault}"));
    }
    let fault = name_fault(value.filter(|v| !v.is_empty())?)?;
    Some(format!("label value error: {fault}"))
}

fn annotation_fault(key: &str, value: Option<&str>) -> Option<String> {
    let value = value?;
    if !value.is_empty()
        && let Some(fault) = key_fault(key)
    {
        return Some(format!("annotation key error: {fault}"));
    }
    (value.chars().count() > LONGEST_ANNOTATION).then(|| {
        format!(
            "annotation value error: '{}...' is greater than 5000 characters",
            first(value)
        )
    })
}

/// The fault of a metadata key.
pub(crate) fn key_fault(key: &str) -> Option<String> {
    if key.is_empty() {
        return Some("key cannot be empty string".to_owned());
    }
    let (prefix, name) = match key.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return Some("key has more than one '/'".to_owned());
        }
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix {
        if !is_dns_name(prefix) {
            return Some(format!("prefix '{prefix}' must be in valid dns format"));
        }
        if prefix.len() > LONGEST_PREFIX {
            return Some(format!(
                "prefix '{}...' is greater than 253 characters",
                first(prefix)
            ));
        }
        if prefix.eq_ignore_ascii_case("cloudfoundry.org") {
            return Some("prefix 'cloudfoundry.org' is reserved".to_owned());
        }
    }
    if name.is_empty() {
        return Some("key cannot be empty string".to_owned());
    }
    name_fault(name)
}

pub(crate) fn name_fault(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !text.chars().all(plain) {
        return Some(format!("'{text}' contains invalid characters"));
    }
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    if !ends
        .iter()
        .all(|b| b.is_some_and(u8::is_ascii_alphanumeric))
    {
        return Some(format!("'{text}' starts or ends with invalid characters"));
    }
    (text.len() > LONGEST_NAME)
        .then(|| format!("'{}...' is greater than 63 characters", first(text)))
}

fn is_dns_name(text: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.contains('.') && text.split('.').all(label)
}

fn first(text: &str) -> String {
    text.chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_rules() {
        let long = "a".repeat(64);
        let cases = [
            ("env", Some("prod"), None),
            ("example.com/env", Some(""), None),
            ("env", None, None),
            (
                "",
                Some("x"),
                Some("label key error: key cannot be empty string".to_owned()),
            ),
            (
                "a/b/c",
                Some("x"),
                Some("label key error: key has more than one '/'".to_owned()),
            ),
            (
                "nodot/b",
                Some("x"),
                Some("label key error: prefix 'nodot' must be in valid dns format".to_owned()),
            ),
            (
                "cloudfoundry.org/b",
                Some("x"),
                Some("label key error: prefix 'cloudfoundry.org' is reserved".to_owned()),
            ),
            (
                "a b",
                Some("x"),
                Some("label key error: 'a b' contains invalid characters".to_owned()),
            ),
            (
                "-a",
                Some("x"),
                Some("label key error: '-a' starts or ends with invalid characters".to_owned()),
            ),
            (
                &long,
                Some("x"),
                Some("label key error: 'aaaaaaaa...' is greater than 63 characters".to_owned()),
            ),
            (
                "env",
                Some("a!"),
                Some("label value error: 'a!' contains invalid characters".to_owned()),
            ),
        ];
        for (key, value, fault) in cases {
            assert_eq!(label_fault(key, value), fault, "{key}={value:?}");
        }
    }
}
