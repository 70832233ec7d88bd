//! The JSON schemas of parameters: stored and shown to clients, not applied. They have to follow the
//! metaschema of draft 4 and refer to nothing outside of themselves.

use serde_json::{Map, Value};

use super::Faults;
use super::check::inspect;

const LARGEST: usize = 65_536;
const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];
const CONFORM: &str =
    "Must conform to JSON Schema Draft 04 (experimental support for later versions):";

/// The schemas for new instances, changes and bindings.
pub(super) fn read(given: &Map<String, Value>, faults: &mut Faults) -> [Option<Value>; 3] {
    let mut part = |of: &str, action: &str| parameters(given, of, action, faults);
    [
        part("service_instance", "create"),
        part("service_instance", "update"),
        part("service_binding", "create"),
    ]
}

fn parameters(
    given: &Map<String, Value>,
    of: &str,
    action: &str,
    faults: &mut Faults,
) -> Option<Value> {
    let mut path = of.to_owned();
    let mut at = given.get(of)?;
    for name in [action, "parameters"] {
        let Value::Object(map) = at else {
            return wrong(&path, at, faults);
        };
        path = format!("{path}.{name}");
        at = map.get(name).filter(|value| !value.is_null())?;
    }
    if !at.is_object() {
        return wrong(&path, at, faults);
    }
    match fault(at) {
        None => Some(at.clone()),
        Some(fault) => {
            faults.add(format!("Schema {path} is not valid. {fault}"));
            None
        }
    }
}

fn wrong(path: &str, value: &Value, faults: &mut Faults) -> Option<Value> {
    let text = format!(
        "Schemas {path} must be a hash, but has value {}",
        inspect(value)
    );
    // Two schemas share a parent, which is told once.
    if faults.count() == 0 || !faults.to_string().contains(&text) {
        faults.add(text);
    }
    None
}

fn fault(schema: &Value) -> Option<String> {
    if schema.to_string().len() > LARGEST {
        return Some("Must not be larger than 64KB".to_owned());
    }
    let Some(meta) = schema.get("$schema") else {
        return Some("Schema must have $schema key but was not present".to_owned());
    };
    if let Some(fault) = shape(schema, "#") {
        return Some(format!("{CONFORM} {fault}"));
    }
    let known = meta
        .as_str()
        .is_some_and(|uri| uri.starts_with("http://json-schema.org/"));
    if !known {
        return Some("Custom meta schemas are not supported.".to_owned());
    }
    outside(schema)
        .map(|uri| format!("No external references are allowed: Read of URI at {uri} refused"))
}

/// A reference that leads outside.
fn outside(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(map) => map.iter().find_map(|(key, value)| match value {
            Value::String(uri) if key == "$ref" && !uri.starts_with('#') => Some(uri.as_str()),
            other => outside(other),
        }),
        Value::Array(all) => all.iter().find_map(outside),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// The first place where a schema does not follow the metaschema.
fn shape(schema: &Value, path: &str) -> Option<String> {
    let Value::Object(map) = schema else {
        return Some(mismatch(path, schema, "object"));
    };
    map.iter()
        .find_map(|(key, value)| keyword(key, value, &format!("{path}/{key}")))
}

fn keyword(key: &str, value: &Value, path: &str) -> Option<String> {
    match key {
        "$schema" | "id" | "title" | "description" | "pattern" | "format" => {
            is(value, value.is_string(), path, "string")
        }
        "multipleOf" | "maximum" | "minimum" => is(value, value.is_number(), path, "number"),
        "exclusiveMaximum" | "exclusiveMinimum" | "uniqueItems" => {
            is(value, value.is_boolean(), path, "boolean")
        }
        "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties" => {
            is(value, value.is_u64(), path, "integer")
        }
        "properties" | "patternProperties" | "definitions" => match value {
            Value::Object(all) => all
                .iter()
                .find_map(|(name, schema)| shape(schema, &format!("{path}/{name}"))),
            other => Some(mismatch(path, other, "object")),
        },
        "additionalItems" | "additionalProperties" if value.is_boolean() => None,
        "additionalItems" | "additionalProperties" | "not" => shape(value, path),
        "items" if value.is_object() => shape(value, path),
        "items" | "allOf" | "anyOf" | "oneOf" => schemas(value, path),
        "required" => texts(value, path),
        "enum" => match value {
            Value::Array(all) if !all.is_empty() => None,
            Value::Array(_) => Some(too_few(path)),
            other => Some(mismatch(path, other, "array")),
        },
        "type" => types(value, path),
        "dependencies" => match value {
            Value::Object(all) => all.iter().find_map(|(name, one)| {
                let path = format!("{path}/{name}");
                if one.is_array() {
                    texts(one, &path)
                } else {
                    shape(one, &path)
                }
            }),
            other => Some(mismatch(path, other, "object")),
        },
        _ => None,
    }
}

fn is(value: &Value, fits: bool, path: &str, kind: &str) -> Option<String> {
    (!fits).then(|| mismatch(path, value, kind))
}

fn schemas(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Array(all) if all.is_empty() => Some(too_few(path)),
        Value::Array(all) => all
            .iter()
            .enumerate()
            .find_map(|(at, schema)| shape(schema, &format!("{path}/{at}"))),
        other => Some(mismatch(path, other, "array")),
    }
}

fn texts(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Array(all) if all.is_empty() => Some(too_few(path)),
        Value::Array(all) => all
            .iter()
            .enumerate()
            .find(|(_, one)| !one.is_string())
            .map(|(at, one)| mismatch(&format!("{path}/{at}"), one, "string")),
        other => Some(mismatch(path, other, "array")),
    }
}

fn types(value: &Value, path: &str) -> Option<String> {
    let known = |value: &Value| value.as_str().is_some_and(|text| TYPES.contains(&text));
    let fits = match value {
        Value::Array(all) => !all.is_empty() && all.iter().all(known),
        one => known(one),
    };
    (!fits).then(|| {
        format!(
            "The property '{path}' of type {} did not match one or more of the required schemas",
            kind(value)
        )
    })
}

fn too_few(path: &str) -> String {
    format!("The property '{path}' did not contain a minimum number of items 1")
}

fn mismatch(path: &str, value: &Value, expected: &str) -> String {
    format!(
        "The property '{path}' of type {} did not match the following type: {expected}",
        kind(value)
    )
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
