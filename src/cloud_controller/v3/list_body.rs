//! The JSON of a list: `pagination` with links that keep every parameter, `resources`, `included`.

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::Urls;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::{ListQuery, Listed, Page};

impl<T> Listed<T> {
    /// The list's JSON.
    pub(crate) fn present<'a, P: Serialize>(
        &'a self,
        query: &ListQuery,
        urls: &Urls,
        path: &str,
        present: impl Fn(&'a T) -> P,
    ) -> Result<ListBody> {
        self.body(query, urls, path, &OneByOne(&self.rows, present))
    }

    /// The same with resources that are JSON already.
    pub(crate) fn present_values(
        &self,
        query: &ListQuery,
        urls: &Urls,
        path: &str,
        resources: Vec<Value>,
    ) -> Result<ListBody> {
        self.body(query, urls, path, &resources)
    }

    fn body(
        &self,
        query: &ListQuery,
        urls: &Urls,
        path: &str,
        resources: &impl Serialize,
    ) -> Result<ListBody> {
        let parameters = query.link_parameters();
        Ok(ListBody {
            pagination: pagination(&query.page, self.total, urls, path, &parameters),
            resources: to_raw_value(resources)?,
            included: Map::new(),
        })
    }
}

/// `{"pagination": …, "resources": […]}`, and `included` if there is any. The resources are text:
/// as a tree, a page would be thousands of scattered allocations.
#[derive(Serialize)]
pub(crate) struct ListBody {
    pagination: Value,
    resources: Box<RawValue>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    included: Map<String, Value>,
}

impl ListBody {
    /// Adds `included`.
    pub(crate) fn including(mut self, included: Included) -> Self {
        self.included = map_of(included);
        self
    }
}

/// The included resources, by type.
pub(crate) type Included = Vec<(&'static str, Vec<Value>)>;

/// Adds `included` to a resource's JSON.
pub(crate) fn with_included(mut body: Value, included: Included) -> Value {
    if !included.is_empty() {
        body["included"] = Value::Object(map_of(included));
    }
    body
}

fn map_of(included: Included) -> Map<String, Value> {
    let named = included.into_iter();
    named
        .map(|(name, values)| (name.to_owned(), Value::Array(values)))
        .collect()
}

/// Rows that are converted to JSON one after the other, while they are written.
struct OneByOne<'a, T, F>(&'a [T], F);

impl<'a, T, P: Serialize, F: Fn(&'a T) -> P> Serialize for OneByOne<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

/// The `pagination` object. `parameters` are the request's without those of paging, encoded; links
/// list all parameters in the order of their names.
fn pagination(page: &Page, total: i64, urls: &Urls, path: &str, parameters: &[String]) -> Value {
    let pages = ((total + page.size - 1) / page.size).max(1);
    let mut parameters = parameters.to_vec();
    parameters.push(format!("per_page={}", page.size));
    if page.order.asked {
        let sign = if page.order.descending { "-" } else { "%2B" };
        parameters.push(format!("order_by={sign}{}", page.order.key));
    }
    let link = |number: i64| {
        let mut parameters = parameters.clone();
        parameters.push(format!("page={number}"));
        parameters.sort_unstable();
        json!({ "href": urls.to(&format!("{path}?{}", parameters.join("&"))) })
    };
    json!({
        "total_results": total,
        "total_pages": pages,
        "first": link(1),
        "last": link(pages),
        "next": if page.number < pages { link(page.number + 1) } else { Value::Null },
        "previous": if page.number > 1 { link(page.number - 1) } else { Value::Null },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_controller::query::ListRules;

    const RULES: ListRules = ListRules::new(&["names"]).order_by(&["name"]);

    #[test]
    fn links_keep_every_parameter_once() {
        let q = ListQuery::parse(Some("names=a%20b&page=2&order_by=-name"), &RULES).expect("valid");
        let urls = Urls::new("http://x");
        let shown = pagination(&q.page, 101, &urls, "/v3/apps", &q.link_parameters());
        assert_eq!(shown["total_pages"], 3);
        assert_eq!(
            shown["next"]["href"],
            "http://x/v3/apps?names=a+b&order_by=-name&page=3&per_page=50"
        );
        assert_eq!(
            shown["previous"]["href"],
            "http://x/v3/apps?names=a+b&order_by=-name&page=1&per_page=50"
        );
    }

    #[test]
    fn links_are_in_the_order_of_names_and_use_the_last_of_two() {
        let query = "space_guids=s&names=a&names=b%252C,c&updated_ats%5Bgt%5D=2020-01-01T00:00:00Z";
        let q = ListQuery::parse(Some(query), &ListRules::new(&["names", "space_guids"]));
        let q = q.expect("valid");
        assert_eq!(q.values("names"), Some(vec!["b,".into(), "c".into()]));
        let urls = Urls::new("http://x");
        let shown = pagination(&q.page, 1, &urls, "/v3/apps", &q.link_parameters());
        assert_eq!(
            shown["first"]["href"],
            "http://x/v3/apps?names=b%252C%2Cc&page=1&per_page=50&space_guids=s\
             &updated_ats%5Bgt%5D=2020-01-01T00%3A00%3A00Z"
        );
    }
}
