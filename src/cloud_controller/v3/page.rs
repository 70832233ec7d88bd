//! Pages: limits, and the `pagination` object with links that carry every parameter.

use serde_json::{Value, json};

use super::urls::Urls;

/// Which part of a list was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// From 1.
    pub number: i64,
    /// Rows a page, 1 to 5000.
    pub size: i64,
    /// Column and direction, as asked for; the default is insertion order.
    pub order: Order,
}

/// Sort order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// One of the list's `order_by` values.
    pub key: &'static str,
    /// What decides between rows that are equal in it, before their guids do.
    pub then: Option<&'static str>,
    /// `-key`.
    pub descending: bool,
    /// False = the default order, which links do not repeat.
    pub asked: bool,
}

impl Default for Order {
    /// That of insertion.
    fn default() -> Self {
        Self {
            key: "id",
            then: None,
            descending: false,
            asked: false,
        }
    }
}

impl Page {
    /// Whether none of `total` rows are on it.
    pub(crate) fn starts_after(&self, total: i64) -> bool {
        (self.number - 1).saturating_mul(self.size) >= total
    }

    /// SQL for the order, and for limit and offset; `alias` is the table whose rows are listed.
    pub(crate) fn sql(&self, alias: &str) -> (String, String) {
        let direction = if self.order.descending { "desc" } else { "asc" };
        let column = match self.order.key {
            // The default order is that of insertion.
            "id" => "created_at",
            key => key,
        };
        let then = self.order.then.map_or(String::new(), |column| {
            format!("{alias}.{column} {direction}, ")
        });
        let order =
            format!("order by {alias}.{column} {direction}, {then}{alias}.guid {direction}");
        let offset = (self.number - 1).saturating_mul(self.size);
        (order, format!("limit {} offset {offset}", self.size))
    }

    /// Both for tables that only grow at the end: their `id` orders rows as their time does,
    /// and each of their indexes ends with it.
    pub(crate) fn sql_by_id(&self, alias: &str) -> String {
        let direction = if self.order.descending { "desc" } else { "asc" };
        let column = match self.order.key {
            "id" | "created_at" | "updated_at" => String::new(),
            key => format!("{alias}.{key} {direction}, "),
        };
        let offset = (self.number - 1).saturating_mul(self.size);
        format!(
            "order by {column}{alias}.id {direction} limit {} offset {offset}",
            self.size
        )
    }

    /// The `pagination` object. `parameters` are the request's without those of paging, encoded; in
    /// links all stand in the order of their names.
    pub(crate) fn present(
        &self,
        total: i64,
        urls: &Urls,
        path: &str,
        parameters: &[String],
    ) -> Value {
        let pages = ((total + self.size - 1) / self.size).max(1);
        let mut parameters = parameters.to_vec();
        parameters.push(format!("per_page={}", self.size));
        if self.order.asked {
            let sign = if self.order.descending { "-" } else { "%2B" };
            parameters.push(format!("order_by={sign}{}", self.order.key));
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
            "next": if self.number < pages { link(self.number + 1) } else { Value::Null },
            "previous": if self.number > 1 { link(self.number - 1) } else { Value::Null },
        })
    }
}
