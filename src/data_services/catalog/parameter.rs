//! Parameters of instances.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::hook::Hook;

/// What a user may choose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What is allowed.
    pub schema: Schema,
    /// What holds without it.
    pub default: Value,
    /// What a change of it needs.
    #[serde(default)]
    pub applies: Applies,
    /// How it is changed while the service runs.
    #[serde(default)]
    pub live: Vec<Hook>,
}

/// What a change needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// Hooks.
    Live,
    /// A new start.
    #[default]
    Restart,
    /// A new container.
    Recreate,
}

/// The part of JSON Schema that parameters use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    r#type: Option<Kind>,
    r#enum: Option<Vec<Value>>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    pattern: Option<String>,
    #[serde(default, rename = "uniqueItems")]
    unique_items: bool,
    #[serde(default)]
    description: Option<String>,
    items: Option<Box<Schema>>,
    /// Of the values of an object with any keys.
    #[serde(rename = "additionalProperties")]
    values: Option<Box<Schema>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

impl Schema {
    /// Why the schema itself is not valid.
    pub(super) fn own_fault(&self) -> Option<String> {
        let pattern = self.pattern.as_ref()?;
        let read = regex::Regex::new(pattern);
        read.err()
            .map(|error| format!("has the pattern {pattern}, which is not valid: {error}"))
    }

    /// Why a value is not allowed.
    pub(super) fn fault(&self, value: &Value) -> Option<String> {
        if let Some(kind) = self.r#type.filter(|kind| !kind.fits(value)) {
            return Some(format!("has to be of type {}", kind.name()));
        }
        if let Some(allowed) = self.r#enum.as_ref().filter(|all| !all.contains(value)) {
            let all: Vec<String> = allowed.iter().map(Value::to_string).collect();
            return Some(format!("has to be one of {}", all.join(", ")));
        }
        if let Some(number) = value.as_i64() {
            if let Some(least) = self.minimum.filter(|least| number < *least) {
                return Some(format!("has to be at least {least}"));
            }
            if let Some(most) = self.maximum.filter(|most| number > *most) {
                return Some(format!("has to be at most {most}"));
            }
        }
        if let Some((text, pattern)) = value.as_str().zip(self.pattern.as_ref())
            && !regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
        {
            return Some(format!("has to match {pattern}"));
        }
        if let Some(values) = value.as_array().filter(|_| self.unique_items)
            && (1..values.len()).any(|at| values[..at].contains(&values[at]))
        {
            return Some("has to have every value once".to_owned());
        }
        if let Some((values, schema)) = value.as_object().zip(self.values.as_ref()) {
            let mut faults = values.iter().filter_map(|(key, value)| {
                schema.fault(value).map(|fault| format!("{key} {fault}"))
            });
            return faults.next().map(|fault| format!("is not valid: {fault}"));
        }
        let items = value.as_array().zip(self.items.as_ref());
        items.and_then(|(values, schema)| values.iter().find_map(|value| schema.fault(value)))
    }

    /// The schema as JSON Schema writes it.
    pub(super) fn as_json(&self) -> Value {
        let mut schema = Map::new();
        if let Some(kind) = self.r#type {
            schema.insert("type".to_owned(), kind.name().into());
        }
        if let Some(allowed) = &self.r#enum {
            schema.insert("enum".to_owned(), allowed.clone().into());
        }
        for (name, bound) in [("minimum", self.minimum), ("maximum", self.maximum)] {
            if let Some(bound) = bound {
                schema.insert(name.to_owned(), bound.into());
            }
        }
        if let Some(pattern) = &self.pattern {
            schema.insert("pattern".to_owned(), pattern.clone().into());
        }
        if self.unique_items {
            schema.insert("uniqueItems".to_owned(), true.into());
        }
        if let Some(text) = &self.description {
            schema.insert("description".to_owned(), text.clone().into());
        }
        if let Some(items) = &self.items {
            schema.insert("items".to_owned(), items.as_json());
        }
        if let Some(values) = &self.values {
            schema.insert("additionalProperties".to_owned(), values.as_json());
        }
        schema.into()
    }
}
