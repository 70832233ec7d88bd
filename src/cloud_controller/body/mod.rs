//! Request bodies: read field by field, with Cloud Controller's messages; all faults are collected.
//!
//! A [`Body`] is opened from JSON or YAML, fields are taken out by name, and [`Body::finish`] fails
//! when a fault was found or an unread field is left over (`Unknown field(s): 'x'`). An absent
//! field is `None`; where `null` has a meaning, [`Fields::nullable`] distinguishes the two.

mod relationships;
mod text;
mod whole;

pub(crate) use text::*;
pub(crate) use whole::*;

use serde_json::{Map, Value};

use crate::cloud_controller::error::{Error, Result};

/// Validation faults, in CC's words.
#[derive(Debug, Default)]
pub(crate) struct Invalid(Vec<String>);

impl Invalid {
    /// Adds a fault.
    pub(crate) fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    /// Adds `Name must be a string`.
    pub(crate) fn field(&mut self, name: &str, fault: &str) {
        self.0.push(format!("{} {fault}", humanize(name)));
    }

    /// Whether there are no faults.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// 422 with all faults in one text, if there are any.
    pub(crate) fn refuse(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::unprocessable(self.0.join(", ")))
        }
    }

    /// The texts.
    pub(crate) fn into_texts(self) -> Vec<String> {
        self.0
    }
}

/// The fields of one JSON object.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    fields: Map<String, Value>,
}

impl Fields {
    /// From a JSON object.
    pub(crate) fn new(fields: Map<String, Value>) -> Self {
        Self { fields }
    }

    /// The fields not taken yet, as in the request.
    pub(crate) fn as_given(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// Takes a field out; `Some(Value::Null)` = it was null in the request.
    pub(crate) fn nullable(&mut self, name: &str) -> Option<Value> {
        self.fields.shift_remove(name)
    }

    /// Takes a field out; null counts as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.nullable(name).filter(|value| !value.is_null())
    }

    /// A string.
    pub(crate) fn string(&mut self, name: &str, invalid: &mut Invalid) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => {
                invalid.field(name, "must be a string");
                None
            }
        }
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self, name: &str, invalid: &mut Invalid) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(value) => Some(value),
            _ => {
                invalid.field(name, "must be a boolean");
                None
            }
        }
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &str, invalid: &mut Invalid) -> Option<Fields> {
        match self.take(name)? {
            Value::Object(fields) => Some(Fields { fields }),
            _ => {
                invalid.field(name, "must be an object");
                None
            }
        }
    }

    /// A list of strings.
    pub(crate) fn strings(&mut self, name: &str, invalid: &mut Invalid) -> Option<Vec<String>> {
        let Value::Array(values) = self.take(name)? else {
            invalid.field(name, "must be an array");
            return None;
        };
        let texts: Option<Vec<String>> = values
            .iter()
            .map(|v| v.as_str().map(str::to_owned))
            .collect();
        if texts.is_none() {
            invalid.field(name, "must be a list of strings");
        }
        texts
    }

    /// Sets a field.
    pub(crate) fn put(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// The fields not taken.
    pub(crate) fn left_over(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    /// Refuses the fields not taken, naming them.
    pub(crate) fn refuse_unknown(&self, invalid: &mut Invalid, prefix: &str) {
        if !self.fields.is_empty() {
            invalid.add(format!(
                "{prefix}Unknown field(s): '{}'",
                self.left_over().join("', '")
            ));
        }
    }
}

/// A whole request body.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// The fields not taken yet.
    pub fields: Fields,
    /// The faults so far.
    pub invalid: Invalid,
}

impl Body {
    /// Opens a JSON object.
    pub(crate) fn new(fields: Map<String, Value>) -> Self {
        Self {
            fields: Fields::new(fields),
            invalid: Invalid::default(),
        }
    }

    /// The whole request body, before any field is taken out: for audit events.
    pub(crate) fn as_given(&self) -> Value {
        self.fields.as_given()
    }

    /// A required string that is not blank.
    pub(crate) fn required_string(&mut self, name: &str) -> Option<String> {
        let given = self.fields.fields.get(name).is_some_and(|v| !v.is_null());
        let text = self.string(name);
        match text {
            Some(text) if !text.trim().is_empty() => Some(text),
            None if given => None,
            _ => {
                self.invalid.field(name, "can't be blank");
                None
            }
        }
    }

    /// A string of limited length.
    pub(crate) fn limited_string(&mut self, name: &str, longest: usize) -> Option<String> {
        let text = self.string(name)?;
        if text.chars().count() > longest {
            self.invalid.field(
                name,
                &format!("is too long (maximum is {longest} characters)"),
            );
        }
        Some(text)
    }

    /// Refuses names longer than 255 characters and names with control characters.
    pub(crate) fn check_name(&mut self, field: &str, name: &str) {
        if name.chars().count() > 255 {
            self.invalid
                .field(field, "is too long (maximum is 255 characters)");
        }
        self.invalid.check_control(field, name);
    }

    /// A string.
    pub(crate) fn string(&mut self, name: &str) -> Option<String> {
        self.fields.string(name, &mut self.invalid)
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.fields.boolean(name, &mut self.invalid)
    }

    /// A whole number.
    pub(crate) fn whole(&mut self, name: &str, rule: Whole) -> Option<i64> {
        self.fields.whole(name, rule, &mut self.invalid)
    }

    /// Relationships to one resource each, all of which have to be there. In order: `None` = absent
    /// or faulty, `Some(None)` = `{"data": null}`.
    pub(crate) fn relationships<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> [Option<Option<String>>; N] {
        self.relationships_that_are(Presence::Required, names)
    }

    /// The same where each may be absent.
    pub(crate) fn optional_relationships<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> [Option<Option<String>>; N] {
        self.relationships_that_are(Presence::Optional, names)
    }

    fn relationships_that_are<const N: usize>(
        &mut self,
        presence: Presence,
        names: [&str; N],
    ) -> [Option<Option<String>>; N] {
        let required = presence == Presence::Required;
        let given = match self.fields.nullable("relationships") {
            Some(Value::Object(map)) if map.is_empty() && required => {
                self.invalid.add(
                    "Relationships 'relationships' must include one or more valid relationships",
                );
                return names.map(|_| None);
            }
            Some(Value::Object(map)) => Fields::new(map),
            None | Some(Value::Null) if !required => return names.map(|_| None),
            None | Some(_) => {
                self.invalid
                    .add("Relationships 'relationships' is not an object");
                return names.map(|_| None);
            }
        };
        self.read_relationships(given, presence, names)
    }

    fn read_relationships<const N: usize>(
        &mut self,
        mut given: Fields,
        presence: Presence,
        names: [&str; N],
    ) -> [Option<Option<String>>; N] {
        let found = names.map(|name| {
            let value = given.nullable(name);
            if value.is_none() && presence == Presence::Required {
                self.invalid.add(format!("Relationships {} can't be blank", humanize(name)));
            }
            value.and_then(|value| {
                let target = to_one(&value);
                if target.is_none() {
                    self.invalid.add(format!(
                        "Relationships {} must be structured like this: \"{name}: {{\"data\": {{\"guid\": \"valid-guid\"}}}}\"",
                        humanize(name)
                    ));
                }
                target
            })
        });
        given.refuse_unknown(&mut self.invalid, "Relationships ");
        found
    }

    /// 422 when a fault was found or a field is left over.
    pub(crate) fn finish(self) -> Result<()> {
        let Self { fields, invalid } = self;
        let mut all = Invalid::default();
        fields.refuse_unknown(&mut all, "");
        all.0.extend(invalid.0);
        all.refuse()
    }
}

/// Whether a relationship has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

/// `{"data": null}` → `Some(None)`, `{"data": {"guid": "x"}}` → `Some(Some("x"))`, else `None`.
fn to_one(value: &Value) -> Option<Option<String>> {
    let object = value.as_object().filter(|o| o.len() == 1)?;
    match object.get("data")? {
        Value::Null => Some(None),
        Value::Object(data) if data.len() == 1 => {
            let guid = data.get("guid")?.as_str()?;
            (1..=200)
                .contains(&guid.chars().count())
                .then(|| Some(guid.to_owned()))
        }
        _ => None,
    }
}

/// `created_ats` → `Created ats`, as CC's validation names attributes.
pub(crate) fn humanize(name: &str) -> String {
    let spaced = name.replace('_', " ");
    let mut letters = spaced.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(value: Value) -> Body {
        match value {
            Value::Object(map) => Body::new(map),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn faults_are_collected_and_unknown_fields_named_first() {
        let mut body = open(json!({ "name": 7, "suspended": "no", "nmae": 1, "x": 2 }));
        assert_eq!(body.required_string("name"), None);
        assert_eq!(body.boolean("suspended"), None);
        let refusal = body.finish().expect_err("invalid");
        assert_eq!(
            refusal.detail(),
            "Unknown field(s): 'nmae', 'x', Name must be a string, Suspended must be a boolean"
        );
    }

    #[test]
    fn blank_names_are_refused() {
        for value in [json!({}), json!({ "name": null }), json!({ "name": " " })] {
            let mut body = open(value);
            assert_eq!(body.required_string("name"), None);
            assert_eq!(
                body.finish().expect_err("blank").detail(),
                "Name can't be blank"
            );
        }
    }

    #[test]
    fn relationships() {
        let cases = [
            (
                json!({}),
                Some("Relationships 'relationships' is not an object"),
            ),
            (
                json!({ "relationships": {} }),
                Some("Relationships 'relationships' must include one or more valid relationships"),
            ),
            (
                json!({ "relationships": { "space": { "data": "x" } } }),
                Some(
                    "Relationships Space must be structured like this: \"space: {\"data\": {\"guid\": \"valid-guid\"}}\"",
                ),
            ),
            (
                json!({ "relationships": { "space": { "data": { "guid": "g" } }, "app": {} } }),
                Some("Relationships Unknown field(s): 'app'"),
            ),
            (
                json!({ "relationships": { "space": { "data": { "guid": "g" } } } }),
                None,
            ),
        ];
        for (value, fault) in cases {
            let mut body = open(value);
            let [space] = body.relationships(["space"]);
            match (body.finish(), fault) {
                (Ok(()), None) => assert_eq!(space, Some(Some("g".to_owned()))),
                (result, fault) => {
                    assert_eq!(
                        result.err().map(|e| e.detail().to_owned()),
                        fault.map(str::to_owned)
                    );
                }
            }
        }
    }
}
