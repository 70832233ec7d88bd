//! `fields[…]` of lists and resources of services: parts of related resources, and where they go in
//! `included`.

use serde_json::{Map, Value};

use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::query::ListQuery;

/// A related resource that can be asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldRule {
    /// Its name in the brackets.
    pub resource: &'static str,
    /// Its list in `included`.
    pub key: &'static str,
    /// What can be asked of it.
    pub fields: &'static [&'static str],
}

impl FieldRule {
    pub(crate) const fn new(
        resource: &'static str,
        key: &'static str,
        fields: &'static [&'static str],
    ) -> Self {
        Self {
            resource,
            key,
            fields,
        }
    }
}

/// What was asked of related resources.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(FieldRule, Vec<String>)>);

impl Fields {
    /// Reads `fields[…]`; 400 for fields that cannot be asked.
    pub(crate) fn read(query: &ListQuery, rules: &[FieldRule]) -> Result<Self> {
        let mut all = Vec::new();
        for rule in rules {
            let Some(asked) = query.values(&format!("fields[{}]", rule.resource)) else {
                continue;
            };
            if asked
                .iter()
                .any(|field| !rule.fields.contains(&field.as_str()))
            {
                return Err(Error::bad_query(format!(
                    "Fields valid keys for '{}' are: '{}'",
                    rule.resource,
                    rule.fields.join("', '")
                )));
            }
            all.push((*rule, asked));
        }
        Ok(Self(all))
    }

    /// Whether anything was asked of a resource.
    pub(crate) fn asks(&self, resource: &str) -> bool {
        self.0.iter().any(|(rule, _)| rule.resource == resource)
    }

    /// Of a presented resource, what was asked of it. `relationships.x` is that relationship.
    pub(crate) fn pick(&self, resource: &str, whole: &Value) -> Value {
        let mut picked = Map::new();
        let asked = self.0.iter().find(|(rule, _)| rule.resource == resource);
        for field in asked.iter().flat_map(|(_, fields)| fields) {
            match field.strip_prefix("relationships.") {
                Some(name) => {
                    let value = whole["relationships"][name].clone();
                    picked.insert(
                        "relationships".to_owned(),
                        serde_json::json!({ name: value }),
                    );
                }
                None => {
                    picked.insert(field.clone(), whole[field.as_str()].clone());
                }
            }
        }
        Value::Object(picked)
    }

    /// The list in `included` of a resource.
    pub(crate) fn key(&self, resource: &str) -> &'static str {
        let found = self.0.iter().find(|(rule, _)| rule.resource == resource);
        found.map_or("", |(rule, _)| rule.key)
    }
}

/// 400 unless a parameter has one of these values.
pub(crate) fn check_one_of(
    query: &ListQuery,
    name: &str,
    shown: &str,
    values: &[&str],
) -> Result<()> {
    match query.raw(name) {
        Some(value) if !values.contains(&value) => Err(Error::bad_query(format!(
            "{shown} must be one of '{}'",
            values.join("', '")
        ))),
        _ => Ok(()),
    }
}

/// 400 unless `available` is a boolean.
pub(crate) fn check_available(query: &ListQuery) -> Result<()> {
    match query.raw("available") {
        Some(value) if !matches!(value, "true" | "false") => Err(Error::bad_query(
            "Available only accepts values 'true' or 'false'",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cloud_controller::query::ListRules;

    const RULES: &[FieldRule] = &[FieldRule::new(
        "space",
        "spaces",
        &["guid", "name", "relationships.organization"],
    )];
    const LIST: ListRules = ListRules::new(&[]).extras(&["type", "fields[space]"]);

    fn parse(query: &str) -> ListQuery {
        ListQuery::parse(Some(query), &LIST).expect(query)
    }

    #[test]
    fn fields_are_picked_from_what_is_shown() {
        let query = parse("fields%5Bspace%5D=guid,relationships.organization");
        let fields = Fields::read(&query, RULES).expect("valid");
        let whole = json!({ "guid": "s", "name": "dev", "relationships": { "organization": { "data": 1 }, "x": 2 } });
        assert_eq!(
            fields.pick("space", &whole),
            json!({ "guid": "s", "relationships": { "organization": { "data": 1 } } })
        );
        assert!(fields.asks("space") && !fields.asks("space.organization"));
    }

    #[test]
    fn fields_that_do_not_exist_are_refused() {
        let refusal = Fields::read(&parse("fields[space]=guid,colour"), RULES).expect_err("colour");
        assert_eq!(
            refusal.detail(),
            "The query parameter is invalid: Fields valid keys for 'space' are: 'guid', 'name', \
             'relationships.organization'"
        );
        let values = ["managed", "user-provided"];
        let refusal = check_one_of(&parse("type=x"), "type", "Type", &values);
        assert_eq!(
            refusal.expect_err("type").detail(),
            "The query parameter is invalid: Type must be one of 'managed', 'user-provided'"
        );
    }
}
