//! A broker's JSON schema of parameters as a form, and what was filled in as parameters.
//!
//! Only what a person can fill in becomes a field of its own: texts, numbers, switches, choices and
//! lists of texts. Everything else takes JSON. The broker checks the parameters; the form helps.

use serde_json::{Map, Number, Value};

use crate::web::form::Fields;
use crate::web::show::Refused;

/// What the names of fields begin with.
const START: &str = "p.";
/// The field for all parameters as JSON.
pub(super) const RAW: &str = "parameters";

/// One parameter as a field.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    /// The name of the parameter.
    pub(super) name: String,
    pub(super) label: String,
    pub(super) hint: String,
    pub(super) required: bool,
    /// What the broker takes when nothing is given.
    pub(super) default: String,
    pub(super) kind: Kind,
}

/// How a parameter is filled in.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Text,
    Whole,
    Number,
    /// `true` or `false`.
    Switch,
    /// One of these values, each as JSON or, for texts, as it is.
    Choice(Vec<String>),
    /// Texts, one a line.
    Lines,
    Json,
}

impl Field {
    /// Its name in the form.
    pub(super) fn key(&self) -> String {
        format!("{START}{}", self.name)
    }

    /// Values to choose from; empty when it is filled in.
    pub(super) fn choices(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Switch => vec!["true", "false"],
            Kind::Choice(values) => values.iter().map(String::as_str).collect(),
            Kind::Text | Kind::Whole | Kind::Number | Kind::Lines | Kind::Json => Vec::new(),
        }
    }

    /// Whether it takes more than one line.
    pub(super) fn is_long(&self) -> bool {
        matches!(self.kind, Kind::Lines | Kind::Json)
    }

    /// `step` of a number; empty for other fields.
    pub(super) fn step(&self) -> &'static str {
        match self.kind {
            Kind::Whole => "1",
            Kind::Number => "any",
            Kind::Text | Kind::Switch | Kind::Choice(_) | Kind::Lines | Kind::Json => "",
        }
    }

    /// What was filled in; `None` when nothing was.
    fn value(&self, given: &str) -> Result<Option<Value>, Refused> {
        let text = given.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let refuse = |what: &str| {
            let text = format!("{} must be {what}", self.label);
            Err(Refused::field(&self.key(), &text))
        };
        let value = match &self.kind {
            Kind::Text => Value::from(given),
            Kind::Whole => match text.parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => return refuse("a whole number"),
            },
            Kind::Number => match text.parse::<f64>().ok().and_then(Number::from_f64) {
                Some(number) => Value::Number(number),
                None => return refuse("a number"),
            },
            Kind::Switch => match text {
                "true" => true.into(),
                "false" => false.into(),
                _ => return refuse("true or false"),
            },
            Kind::Choice(values) if values.iter().any(|value| value == text) => {
                // A number or null is written as JSON, a text as it is.
                match serde_json::from_str(text) {
                    Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => value,
                    _ => text.into(),
                }
            }
            Kind::Choice(_) => return refuse("one of the choices"),
            Kind::Lines => {
                let lines = text.lines().map(str::trim);
                lines.filter(|line| !line.is_empty()).collect()
            }
            Kind::Json => match serde_json::from_str(text) {
                Ok(value) => value,
                Err(error) => return refuse(&format!("JSON: {error}")),
            },
        };
        Ok(Some(value))
    }
}

/// The fields of a schema; none when it says nothing about parameters.
pub(super) fn fields(schema: &Value) -> Vec<Field> {
    let required = schema["required"].as_array();
    let is_required =
        |name: &str| required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)));
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, of)| field(name, of, is_required(name)))
        .collect()
}

fn field(name: &str, schema: &Value, required: bool) -> Field {
    let text = |key: &str| schema[key].as_str().unwrap_or_default().to_owned();
    let title = text("title");
    let default = match &schema["default"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Field {
        name: name.to_owned(),
        label: if title.is_empty() {
            name.to_owned()
        } else {
            title
        },
        hint: text("description"),
        required,
        default,
        kind: kind(schema),
    }
}

fn kind(schema: &Value) -> Kind {
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        return Kind::Choice(values.collect());
    }
    let kind = match &schema["type"] {
        Value::Array(several) => several.iter().find(|one| *one != "null"),
        one => Some(one),
    };
    match kind.and_then(Value::as_str) {
        Some("string") => Kind::Text,
        Some("integer") => Kind::Whole,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Switch,
        Some("array") if schema["items"]["type"] == "string" => Kind::Lines,
        _ => Kind::Json,
    }
}

/// The parameters of a form: its fields, and above them what is given as JSON. `None` = none at all.
pub(super) fn parameters(
    schema: &Value,
    given: &Fields,
) -> Result<Option<Map<String, Value>>, Refused> {
    let mut all = Map::new();
    let raw = raw(given, RAW, "Parameters")?.unwrap_or_default();
    for field in fields(schema) {
        let text = given.get(&field.key()).unwrap_or_default();
        match field.value(text)? {
            Some(value) => {
                all.insert(field.name, value);
            }
            None if field.required && !raw.contains_key(&field.name) => {
                let text = format!("{} can't be blank", field.label);
                return Err(Refused::field(&field.key(), &text));
            }
            None => {}
        }
    }
    all.extend(raw);
    Ok((!all.is_empty()).then_some(all))
}

/// A field with a JSON object; `None` when it is empty.
pub(super) fn raw(
    given: &Fields,
    name: &str,
    label: &str,
) -> Result<Option<Map<String, Value>>, Refused> {
    let Some(text) = given.text(name) else {
        return Ok(None);
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Err(Refused::field(
            name,
            &format!("{label} must be a JSON object"),
        )),
        Err(error) => Err(Refused::field(
            name,
            &format!("{label} must be a JSON object: {error}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({ "type": "object", "required": ["name"], "properties": {
            "name": { "type": "string", "title": "Name of the database", "description": "Short" },
            "size": { "type": ["integer", "null"], "default": 5 },
            "ratio": { "type": "number" },
            "public": { "type": "boolean" },
            "mode": { "enum": ["fast", "safe", 3, null] },
            "hosts": { "type": "array", "items": { "type": "string" } },
            "rules": { "type": "array", "items": { "type": "object" } },
        } })
    }

    fn given(pairs: &[(&str, &str)]) -> Fields {
        Fields::of(pairs)
    }

    #[test]
    fn a_schema_is_a_form() {
        let fields = fields(&schema());
        let kinds: Vec<&Kind> = fields.iter().map(|field| &field.kind).collect();
        let choice = Kind::Choice(["fast", "safe", "3", "null"].map(str::to_owned).into());
        assert_eq!(
            kinds,
            [
                &Kind::Text,
                &Kind::Whole,
                &Kind::Number,
                &Kind::Switch,
                &choice,
                &Kind::Lines,
                &Kind::Json
            ]
        );
        assert!(fields[0].required && !fields[1].required);
        assert_eq!(fields[0].label, "Name of the database");
        assert_eq!(fields[1].default, "5");
        assert!(super::fields(&json!({})).is_empty());
    }

    #[test]
    fn what_is_filled_in_has_the_types_of_the_schema() {
        let filled = given(&[
            ("p.name", "main"),
            ("p.size", "7"),
            ("p.ratio", "0.5"),
            ("p.public", "true"),
            ("p.mode", "3"),
            ("p.hosts", "a\r\n\r\n b "),
            ("p.rules", "[{\"a\": 1}]"),
            ("parameters", "{\"other\": null, \"size\": 8}"),
        ]);
        let all = parameters(&schema(), &filled).expect("valid");
        assert_eq!(
            Value::from(all.expect("some")),
            json!({ "name": "main", "size": 8, "ratio": 0.5, "public": true, "mode": 3,
                    "hosts": ["a", "b"], "rules": [{ "a": 1 }], "other": null })
        );
        assert_eq!(parameters(&json!({}), &given(&[])).expect("valid"), None);
    }

    #[test]
    fn a_fault_is_at_its_field() {
        for (pairs, field) in [
            (vec![("p.size", "7")], "p.name"),
            (vec![("p.name", "x"), ("p.size", "big")], "p.size"),
            (vec![("p.name", "x"), ("p.ratio", "NaN")], "p.ratio"),
            (vec![("p.name", "x"), ("p.mode", "wild")], "p.mode"),
            (vec![("p.name", "x"), ("p.rules", "[")], "p.rules"),
            (vec![("p.name", "x"), ("parameters", "[]")], "parameters"),
        ] {
            let refused = parameters(&schema(), &given(&pairs)).expect_err(field);
            assert!(format!("{refused:?}").contains(field), "{refused:?}");
        }
    }
}
