//! Query strings of lists and single resources: unknown parameters are refused, no filter is ever
//! ignored, an empty value means "equals empty".
//!
//! Rules and texts: CC `app/messages/list_message.rb`, `base_message.rb`.

#[cfg(test)]
mod tests;
pub(crate) mod times;

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Column, Order, Page, Select, apply};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;

/// The parameters of a list besides the common ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListRules {
    /// Filters by value list.
    pub filters: &'static [&'static str],
    /// Columns for `order_by` besides `created_at` and `updated_at`.
    pub order_by: &'static [&'static str],
    /// Values of `include`; empty = no `include` parameter.
    pub includes: &'static [&'static str],
    /// Other parameters that the handler reads itself (`fields[…]`, `embed`, …).
    pub extras: &'static [&'static str],
    /// Whether resources have labels.
    pub labels: bool,
    /// Default columns of the order; empty = insertion order.
    pub default_order: &'static [&'static str],
    /// Whether resources can change.
    pub updates: bool,
}

impl ListRules {
    /// A list with these filters and labels.
    pub(crate) const fn new(filters: &'static [&'static str]) -> Self {
        Self {
            filters,
            order_by: &[],
            includes: &[],
            extras: &[],
            labels: true,
            default_order: &[],
            updates: true,
        }
    }

    /// Without labels.
    pub(crate) const fn without_labels(mut self) -> Self {
        self.labels = false;
        self
    }

    /// Of resources that never change: `updated_ats` and sorting by it are refused.
    pub(crate) const fn without_updates(mut self) -> Self {
        self.updates = false;
        self
    }

    /// With more sort columns.
    pub(crate) const fn order_by(mut self, columns: &'static [&'static str]) -> Self {
        self.order_by = columns;
        self
    }

    /// With `include`.
    pub(crate) const fn includes(mut self, values: &'static [&'static str]) -> Self {
        self.includes = values;
        self
    }

    /// With parameters the handler reads itself.
    pub(crate) const fn extras(mut self, names: &'static [&'static str]) -> Self {
        self.extras = names;
        self
    }

    /// With another default order than insertion order.
    pub(crate) const fn default_order(mut self, columns: &'static [&'static str]) -> Self {
        self.default_order = columns;
        self
    }

    fn valid_names(&self) -> Vec<&'static str> {
        let mut names = vec!["page", "per_page", "order_by", "created_ats"];
        if self.updates {
            names.push("updated_ats");
        }
        names.push("guids");
        names.extend(self.filters);
        names.extend(self.extras);
        if !self.includes.is_empty() {
            names.push("include");
        }
        if self.labels {
            names.push("label_selector");
        }
        names
    }
}

/// A validated query string of a list.
#[derive(Debug)]
pub(crate) struct ListQuery {
    parameters: Vec<(String, String)>,
    /// The requested page.
    pub page: Page,
}

/// Characters that are not encoded in the links of `pagination`.
const KEEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

impl ListQuery {
    /// Parses and validates a list's query string.
    pub(crate) fn parse(query: Option<&str>, rules: &ListRules) -> Result<Self> {
        let parameters = pairs(query);
        let valid = rules.valid_names();
        let by_update = |(name, _): &(String, String)| name.starts_with("updated_ats");
        if !rules.updates && parameters.iter().any(by_update) {
            return Err(Error::bad_query(
                "Filtering by 'updated_ats' is not allowed on this resource.",
            ));
        }
        refuse_unknown(&parameters, &valid, |name| {
            name.split_once('[').map(|(stem, _)| stem)
        })?;
        let page = page(&parameters, rules)?;
        let this = Self { parameters, page };
        this.check_includes(rules)?;
        this.check_times_and_labels()?;
        Ok(this)
    }

    /// Checks times and labels before any query runs.
    fn check_times_and_labels(&self) -> Result<()> {
        let mut unused = Select::from("");
        for name in ["created_ats", "updated_ats"] {
            self.filter_times(&mut unused, name, "")?;
        }
        if let Some(text) = self.raw("label_selector") {
            apply(&mut unused, text, ResourceType::App)?;
        }
        Ok(())
    }

    /// Validates the query string of a single resource: only `include` (and `extras`) may appear.
    pub(crate) fn parse_single(
        query: Option<&str>,
        includes: &'static [&'static str],
        extras: &[&str],
    ) -> Result<Self> {
        let parameters = pairs(query);
        let mut valid: Vec<&str> = extras.to_vec();
        if !includes.is_empty() {
            valid.push("include");
        }
        refuse_unknown(&parameters, &valid, |_| None)?;
        let order = Order::default();
        let this = Self {
            parameters,
            page: Page {
                number: 1,
                size: 50,
                order,
            },
        };
        this.check_includes(&ListRules::new(&[]).includes(includes))?;
        Ok(this)
    }

    /// The values of a comma-separated parameter; `None` when it is absent.
    pub(crate) fn values(&self, name: &str) -> Option<Vec<String>> {
        let raw = self.raw(name)?;
        Some(split(raw))
    }

    /// The value of a parameter, unchanged.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        // Of a repeated parameter the last one is used.
        let mut reversed = self.parameters.iter().rev();
        let found = reversed.find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether `include` names this resource.
    pub(crate) fn includes(&self, name: &str) -> bool {
        self.values("include")
            .is_some_and(|values| values.iter().any(|value| value == name))
    }

    /// Adds the condition that the column has one of the parameter's values, if it was given.
    pub(crate) fn filter<'a>(
        &self,
        select: &mut Select,
        name: &str,
        column: impl Into<Column<'a>>,
    ) {
        if let Some(values) = self.values(name) {
            select.and_in(column, &values);
        }
    }

    /// Like [`ListQuery::filter`] for a column that may be null: an empty value means null.
    pub(crate) fn filter_nullable(&self, select: &mut Select, name: &str, column: Column<'_>) {
        let Some(values) = self.values(name) else {
            return;
        };
        let (empty, named): (Vec<String>, Vec<String>) =
            values.into_iter().partition(String::is_empty);
        if empty.is_empty() {
            select.and_in(column, &named);
        } else {
            select.and_in_or_null(column, &named);
        }
    }

    /// Adds the condition that the column is among what `inner` selects by the parameter's values,
    /// if it was given; see [`Select::and_through`].
    pub(crate) fn filter_through<'a>(
        &self,
        select: &mut Select,
        name: &str,
        column: impl Into<Column<'a>>,
        inner: &str,
    ) {
        if let Some(values) = self.values(name) {
            select.and_through(column, inner, &values);
        }
    }

    /// Adds the filters every list has: guids, created_ats, updated_ats, label_selector.
    pub(crate) fn filter_common(
        &self,
        select: &mut Select,
        alias: &str,
        labels: Option<ResourceType>,
    ) -> Result<()> {
        self.filter(select, "guids", &*format!("{alias}.guid"));
        let [created, updated] = ["created_at", "updated_at"].map(|name| format!("{alias}.{name}"));
        self.filter_times(select, "created_ats", &*created)?;
        self.filter_times(select, "updated_ats", Column::scanned(&updated))?;
        if let (Some(resource), Some(text)) = (labels, self.raw("label_selector")) {
            apply(select, text, resource)?;
        }
        Ok(())
    }

    /// Adds the conditions of `created_ats` or `updated_ats`.
    pub(crate) fn filter_times<'a>(
        &self,
        select: &mut Select,
        name: &str,
        column: impl Into<Column<'a>>,
    ) -> Result<()> {
        times::filter(&self.parameters, select, name, column.into())
    }

    /// The names of the given filters.
    pub(crate) fn filters(&self) -> BTreeSet<&str> {
        let names = self.parameters.iter().map(|(name, _)| name.as_str());
        names.filter(|name| !is_paging(name)).collect()
    }

    /// The parameters for links, without paging, each encoded.
    pub(crate) fn link_parameters(&self) -> Vec<String> {
        let encode = |text: &str| {
            utf8_percent_encode(text, KEEP)
                .to_string()
                .replace("%20", "+")
        };
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for (key, value) in self.parameters.iter().filter(|(key, _)| !is_paging(key)) {
            // Of a repeated parameter the last one is used.
            pairs.retain(|(known, _)| known != key);
            pairs.push((key, value));
        }
        pairs
            .into_iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect()
    }

    /// Whether any `updated_ats` was given.
    pub(crate) fn filters_by_update(&self) -> bool {
        self.parameters
            .iter()
            .any(|(key, _)| key.starts_with("updated_ats"))
    }

    fn check_includes(&self, rules: &ListRules) -> Result<()> {
        let Some(values) = self.values("include") else {
            return Ok(());
        };
        for (i, value) in values.iter().enumerate() {
            if !rules.includes.contains(&value.as_str()) {
                return Err(Error::bad_query(format!(
                    "Invalid included resource: '{value}'. Valid included resources are: '{}'",
                    rules.includes.join("', '")
                )));
            }
            if values[..i].contains(value) {
                return Err(Error::bad_query(format!(
                    "Duplicate included resource: '{value}'"
                )));
            }
        }
        Ok(())
    }
}

fn is_paging(name: &str) -> bool {
    matches!(name, "page" | "per_page" | "order_by")
}

/// Splits at commas, then decodes each part again (`%2C` is a comma inside a value).
fn split(raw: &str) -> Vec<String> {
    raw.split(',')
        .map(|part| {
            percent_decode_str(part.trim_start())
                .decode_utf8_lossy()
                .into_owned()
        })
        .collect()
}

fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.unwrap_or("").as_bytes())
        .into_owned()
        .collect()
}

fn refuse_unknown<'a>(
    parameters: &'a [(String, String)],
    valid: &[&str],
    stem: impl Fn(&'a str) -> Option<&'a str>,
) -> Result<()> {
    let known = |name: &'a str| {
        valid.contains(&name)
            || stem(name)
                .is_some_and(|s| matches!(s, "created_ats" | "updated_ats") && valid.contains(&s))
    };
    let mut unknown: Vec<&str> = Vec::new();
    for (name, _) in parameters {
        if !known(name) && !unknown.contains(&name.as_str()) {
            unknown.push(name);
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::bad_query(format!(
        "Unknown query parameter(s): '{}'. Valid parameters are: '{}'",
        unknown.join("', '"),
        valid.join("', '")
    )))
}

fn page(parameters: &[(String, String)], rules: &ListRules) -> Result<Page> {
    let find = |name: &str| {
        let mut reversed = parameters.iter().rev();
        let found = reversed.find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let number = positive(find("page"), "Page", 1)?;
    let size = positive(find("per_page"), "Per page", 50)?;
    if size > 5000 {
        return Err(Error::bad_query("Per page must be between 1 and 5000"));
    }
    let order = match find("order_by") {
        None | Some("") => Order {
            key: rules.default_order.first().copied().unwrap_or("id"),
            then: rules.default_order.get(1).copied(),
            ..Order::default()
        },
        Some(text) => order(text, rules)?,
    };
    Ok(Page {
        number,
        size,
        order,
    })
}

fn positive(text: Option<&str>, name: &str, default: i64) -> Result<i64> {
    match text.map(str::parse::<i64>) {
        None => Ok(default),
        Some(Ok(n)) if n > 0 => Ok(n),
        Some(_) => Err(Error::bad_query(format!(
            "{name} must be a positive integer"
        ))),
    }
}

fn order(text: &str, rules: &ListRules) -> Result<Order> {
    // In a query a bare + arrives as a space.
    let (descending, key) = match text.split_at_checked(1) {
        Some(("-", key)) => (true, key),
        Some(("+" | " ", key)) => (false, key),
        _ => (false, text),
    };
    let times: &[&'static str] = if rules.updates {
        &["created_at", "updated_at"]
    } else {
        &["created_at"]
    };
    let valid: Vec<&'static str> = times.iter().chain(rules.order_by).copied().collect();
    match valid.iter().find(|name| **name == key) {
        Some(key) => Ok(Order {
            key,
            then: match rules.default_order {
                [first, second, ..] if first == key => Some(second),
                _ => None,
            },
            descending,
            asked: true,
        }),
        None => {
            let names: Vec<String> = valid.iter().map(|name| format!("'{name}'")).collect();
            Err(Error::bad_query(format!(
                "Order by can only be: {}",
                names.join(", ")
            )))
        }
    }
}
