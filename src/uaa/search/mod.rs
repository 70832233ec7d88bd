//! Searching users, groups and clients: filter, order and paging as SCIM writes them.

pub(crate) mod filter;
mod store;

pub(crate) use store::{Source, search};

use serde_json::{Value, json};

use super::caller::Parameters;
use super::error::{UaaError, UaaResult};
use filter::{Attribute, Attributes, Filter};

const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 500;

/// What to search for and which part of it to return.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) filter: Option<Filter>,
    /// Oldest first when absent.
    pub(crate) sort: Option<Attribute>,
    pub(crate) descending: bool,
    pub(crate) offset: u32,
    pub(crate) limit: u32,
}

/// A list request.
pub(crate) struct ListQuery {
    pub(crate) search: Search,
    start: u32,
    attributes: Vec<String>,
}

impl ListQuery {
    /// Validates the parameters of a list of resources with these attributes.
    pub(crate) fn validate(query: &Parameters, known: Attributes) -> UaaResult<Self> {
        let start = number(query, "startIndex", 1)?.max(1);
        let limit = number(query, "count", PAGE)?.min(LARGEST_PAGE);
        let sort = match query.get("sortBy") {
            None | Some("created") => None,
            Some(name) => match filter::find(known, name) {
                Some(attribute) => Some(attribute),
                None => return Err(UaaError::bad_scim(format!("Invalid sortBy: {name}"))),
            },
        };
        let descending = match query.get("sortOrder") {
            None | Some("ascending") => false,
            Some("descending") => true,
            Some(_) => {
                let text = "sortOrder must be ascending or descending";
                return Err(UaaError::bad_scim(text));
            }
        };
        let filter = query.get("filter");
        let attributes = query
            .get("attributes")
            .unwrap_or("")
            .split(',')
            .map(str::trim);
        Ok(Self {
            search: Search {
                filter: filter.map(|text| filter::parse(text, known)).transpose()?,
                sort,
                descending,
                offset: start - 1,
                limit,
            },
            start,
            attributes: attributes
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    /// One page as SCIM shows it, with the requested attributes.
    pub(crate) fn present(&self, resources: Vec<Value>, total: i64, schema: &str) -> Value {
        let resources: Vec<Value> = resources
            .into_iter()
            .map(|resource| self.select(resource))
            .collect();
        json!({
            "resources": resources,
            "startIndex": self.start,
            "itemsPerPage": self.search.limit,
            "totalResults": total,
            "schemas": [schema],
        })
    }

    fn select(&self, resource: Value) -> Value {
        let Value::Object(fields) = resource else {
            return resource;
        };
        if self.attributes.is_empty() {
            return Value::Object(fields);
        }
        let wanted = |name: &String| {
            let mut attributes = self.attributes.iter();
            attributes.any(|wanted| {
                let top = wanted.split('.').next().unwrap_or(wanted);
                top.eq_ignore_ascii_case(name)
            })
        };
        let fields = fields.into_iter().filter(|(name, _)| wanted(name));
        Value::Object(fields.collect())
    }
}

fn number(query: &Parameters, name: &str, default: u32) -> UaaResult<u32> {
    match query.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| {
            UaaError::bad_scim(format!("{name} must be a number that is not negative"))
        }),
    }
}
