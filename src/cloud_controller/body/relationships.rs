//! Relationships to several resources: `{"data": [{"guid": "x"}, …]}`, as in request bodies.

use serde_json::Value;

use super::{Body, Invalid};
use crate::cloud_controller::body::humanize;
use crate::cloud_controller::error::Result;

impl Body {
    /// Takes a relationship to several resources out of `relationships`; the others stay for
    /// [`Body::relationships`].
    pub(crate) fn to_many(&mut self, name: &str) -> Option<Vec<String>> {
        let Value::Object(mut all) = self.fields.nullable("relationships")? else {
            self.invalid
                .add("Relationships 'relationships' is not an object");
            return None;
        };
        let given = all.shift_remove(name).filter(|value| !value.is_null());
        self.fields.put("relationships", Value::Object(all));
        let guids = to_many(&given?);
        if guids.is_none() {
            self.invalid.add(format!(
                "Relationships {} must be structured like this: \"{name}: \
                 {{\"data\": [{{\"guid\": \"valid-guid\"}},{{\"guid\": \"valid-guid\"}}]}}\"",
                humanize(name)
            ));
        }
        guids
    }

    /// A whole body of the form `{"data": {"guid": "x"}}` or `{"data": null}`; `None` = no data.
    pub(crate) fn finish_to_one(mut self) -> Result<Option<Option<String>>> {
        let given = self.fields.nullable("data");
        let guid = given.map(|data| one(&data, &mut self.invalid));
        self.finish()?;
        Ok(guid)
    }

    /// A whole body of the form `{"data": [{"guid": "x"}, …]}` with at least one entry.
    pub(crate) fn finish_to_many(mut self) -> Result<Vec<String>> {
        let given = self.fields.take("data").unwrap_or(Value::Null);
        let guids = data(&given, &mut self.invalid);
        self.finish()?;
        Ok(guids)
    }
}

fn one(data: &Value, invalid: &mut Invalid) -> Option<String> {
    let map = match data {
        Value::Null => return None,
        Value::Object(map) => map,
        _ => {
            invalid.field("data", "must be an object");
            return None;
        }
    };
    if map.len() != 1 {
        invalid.field("data", "can only accept one key");
    }
    match map.get("guid") {
        Some(Value::String(guid)) => return Some(guid.clone()),
        Some(Value::Null) => {}
        Some(other) => invalid.field("data", &format!("{other} must be a string")),
        None => invalid.field("data", "can only accept key 'guid'"),
    }
    None
}

fn data(given: &Value, invalid: &mut Invalid) -> Vec<String> {
    let entries = given.as_array();
    if entries.is_none_or(Vec::is_empty) {
        invalid.field("data", "can't be blank");
    }
    if entries.is_none() {
        invalid.field("data", "must be an array");
    }
    let mut guids = Vec::new();
    for (i, entry) in entries.into_iter().flatten().enumerate() {
        match entry.get("guid") {
            Some(Value::String(guid)) => guids.push(guid.clone()),
            _ => invalid.add(format!(
                "Invalid data type: Data[{i}] guid should be a string."
            )),
        }
    }
    guids
}

/// The guids of `{"data": [{"guid": "x"}, …]}`; `None` = another shape.
fn to_many(value: &Value) -> Option<Vec<String>> {
    let guid = |entry: &Value| {
        let object = entry.as_object().filter(|object| object.len() == 1)?;
        let guid = object.get("guid")?.as_str()?;
        (1..=200)
            .contains(&guid.chars().count())
            .then(|| guid.to_owned())
    };
    value.get("data")?.as_array()?.iter().map(guid).collect()
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
    fn a_body_of_guids() {
        let cases = [
            (json!({ "data": [{ "guid": "a" }, { "guid": "b" }] }), None),
            (
                json!({}),
                Some("Data can't be blank, Data must be an array"),
            ),
            (json!({ "data": [] }), Some("Data can't be blank")),
            (
                json!({ "data": [{ "guid": "a" }, { "guid": 1 }] }),
                Some("Invalid data type: Data[1] guid should be a string."),
            ),
            (
                json!({ "data": [{ "guid": "a" }], "x": 1 }),
                Some("Unknown field(s): 'x'"),
            ),
        ];
        for (value, fault) in cases {
            let refused = open(value.clone()).finish_to_many().err();
            assert_eq!(refused.as_ref().map(|e| e.detail()), fault, "{value}");
        }
    }

    #[test]
    fn a_body_of_one_guid() {
        let given = |value: Value| open(value).finish_to_one();
        let guid = Some(Some("a".to_owned()));
        assert_eq!(given(json!({ "data": { "guid": "a" } })).ok(), Some(guid));
        assert_eq!(given(json!({ "data": null })).ok(), Some(Some(None)));
        assert_eq!(given(json!({})).ok(), Some(None));
        for (value, fault) in [
            (json!({ "data": 1 }), "Data must be an object"),
            (
                json!({ "data": { "guid": "a", "x": 1 } }),
                "Data can only accept one key",
            ),
            (
                json!({ "data": { "x": 1 } }),
                "Data can only accept key 'guid'",
            ),
            (json!({ "data": { "guid": 1 } }), "Data 1 must be a string"),
        ] {
            let refused = given(value.clone()).err();
            assert_eq!(refused.as_ref().map(|e| e.detail()), Some(fault), "{value}");
        }
    }

    #[test]
    fn relationships_of_both_kinds_stand_together() {
        let mut body = open(json!({ "relationships": {
            "organization": { "data": { "guid": "o" } },
            "spaces": { "data": [{ "guid": "s" }] },
        } }));
        assert_eq!(body.to_many("spaces"), Some(vec!["s".to_owned()]));
        let [organization] = body.relationships(["organization"]);
        assert_eq!(organization, Some(Some("o".to_owned())));
        assert!(body.finish().is_ok());
        let mut body = open(json!({ "relationships": { "spaces": { "data": "s" } } }));
        assert_eq!(body.to_many("spaces"), None);
        assert!(
            body.invalid.into_texts()[0].starts_with("Relationships Spaces must be structured")
        );
    }
}
