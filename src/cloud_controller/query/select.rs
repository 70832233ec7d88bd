//! The query builder: a statement is composed of conditions with their values.
//!
//! A statement's text depends on which filters a request has, never on how many values a filter
//! has: one value is compared with `=`, several are bound as one JSON text ([`OneOf`]). SQLite
//! caches prepared statements, so there must be few different texts, and each must be short.

use rusqlite::types::Value;
use serde::Serialize;

/// A `select` to which conditions are added.
pub(crate) struct Select {
    from: String,
    conditions: Vec<Condition>,
    values: Vec<Value>,
    labels: Vec<Labelled>,
}

struct Condition {
    scanned: bool,
    sql: String,
}

/// A column that a condition begins with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    name: &'a str,
    scanned: bool,
}

impl<'a> Column<'a> {
    /// A column that matches many rows: an index on it is disabled (`+`) where a page is searched.
    /// The rows are then found in the list's order, which costs the same for every page, and not
    /// sorted afterwards. A count has no order and may use the index.
    pub(crate) const fn scanned(name: &'a str) -> Self {
        let scanned = true;
        Self { name, scanned }
    }

    /// The column's name with its table's alias.
    pub(crate) fn name(self) -> &'a str {
        self.name
    }
}

impl<'a> From<&'a str> for Column<'a> {
    fn from(name: &'a str) -> Self {
        let scanned = false;
        Self { name, scanned }
    }
}

/// "Is one of these values", as SQL that follows a column, with one value to bind.
#[derive(Debug, Clone)]
pub(crate) struct OneOf {
    sql: &'static str,
    value: Value,
}

impl OneOf {
    /// One of these texts; an empty list matches no row.
    pub(crate) fn texts<S: AsRef<str>>(texts: &[S]) -> Self {
        match texts {
            [text] => Self::equal(text.as_ref().to_owned()),
            texts => Self::listed(&texts.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
        }
    }

    /// One of these numbers.
    pub(crate) fn numbers(numbers: &[i64]) -> Self {
        match numbers {
            [number] => Self::equal(*number),
            numbers => Self::listed(&numbers),
        }
    }

    fn equal(value: impl Into<Value>) -> Self {
        Self {
            sql: "= ?",
            value: value.into(),
        }
    }

    fn listed(values: &impl Serialize) -> Self {
        let values = serde_json::to_string(values).expect("texts and numbers are JSON");
        Self {
            sql: "in (select value from json_each(?))",
            value: values.into(),
        }
    }

    /// The SQL that follows the column, with one placeholder.
    pub(crate) fn sql(&self) -> &'static str {
        self.sql
    }

    /// The value of the placeholder.
    pub(crate) fn value(&self) -> Value {
        self.value.clone()
    }
}

/// The listed rows' guids must, or must not, be in a set, which may be large.
pub(crate) struct Labelled {
    /// Whether they must be in it.
    pub wanted: bool,
    /// A statement that selects the set.
    pub sql: String,
    /// The values of its placeholders.
    pub values: Vec<Value>,
}

/// The purpose of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    Rows,
    Count,
}

impl Select {
    /// `from` is a table or a join, with aliases as the conditions name them.
    pub(crate) fn from(from: &str) -> Self {
        Self {
            from: from.to_owned(),
            conditions: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Adds a condition; `sql` has as many `?` as `values` has values.
    pub(crate) fn and<V: Into<Value>>(&mut self, sql: &str, values: impl IntoIterator<Item = V>) {
        self.add(false, sql.to_owned(), values);
    }

    /// Adds a condition that starts with a column.
    pub(crate) fn and_column<'a, V: Into<Value>>(
        &mut self,
        column: impl Into<Column<'a>>,
        rest: &str,
        values: impl IntoIterator<Item = V>,
    ) {
        let Column { name, scanned } = column.into();
        self.add(scanned, format!("{name} {rest}"), values);
    }

    fn add<V: Into<Value>>(
        &mut self,
        scanned: bool,
        sql: String,
        values: impl IntoIterator<Item = V>,
    ) {
        self.conditions.push(Condition { scanned, sql });
        self.values.extend(values.into_iter().map(Into::into));
    }

    /// Adds that the listed rows' guids are, or are not, in the result of the statement `sql`.
    pub(crate) fn and_labelled(
        &mut self,
        wanted: bool,
        sql: String,
        values: impl IntoIterator<Item = Value>,
    ) {
        self.labels.push(Labelled {
            wanted,
            sql,
            values: values.into_iter().collect(),
        });
    }

    /// The label conditions of [`Select::and_labelled`]; [`super::list()`] applies them, no statement here
    /// does.
    pub(crate) fn labels(&self) -> &[Labelled] {
        &self.labels
    }

    /// Whether every row of one table is listed, apart from labels.
    pub(crate) fn is_whole_table(&self) -> bool {
        self.conditions.is_empty() && !self.from.contains(" join ")
    }

    /// Adds that a column has one of these values; an empty list matches nothing.
    pub(crate) fn and_in<'a, S: AsRef<str>>(
        &mut self,
        column: impl Into<Column<'a>>,
        values: &[S],
    ) {
        let one = OneOf::texts(values);
        self.and_column(column, one.sql, [one.value]);
    }

    /// Adds that a column has none of these values.
    pub(crate) fn and_not_in<S: AsRef<str>>(&mut self, column: &str, values: &[S]) {
        let one = OneOf::texts(values);
        self.and(&format!("not ({column} {})", one.sql), [one.value]);
    }

    /// Adds that a column has one of these values or is null.
    pub(crate) fn and_in_or_null<S: AsRef<str>>(&mut self, column: Column<'_>, values: &[S]) {
        let one = OneOf::texts(values);
        let plus = if column.scanned { "+" } else { "" };
        let rest = format!("{} or {plus}{} is null", one.sql, column.name);
        self.and_column(column, &rest, [one.value]);
    }

    /// Adds that a column is in the result of `inner`, which ends with a column of its own that has
    /// one of these values.
    pub(crate) fn and_through<'a, S: AsRef<str>>(
        &mut self,
        column: impl Into<Column<'a>>,
        inner: &str,
        values: &[S],
    ) {
        let one = OneOf::texts(values);
        self.and_column(column, &format!("in ({inner} {})", one.sql), [one.value]);
    }

    /// The statement for one page: the rows' keys are found first, mostly in an index, and only the
    /// page's rows are read. `way` is the order in which they are found; limit and offset follow
    /// the values of the conditions.
    pub(crate) fn page_sql(&self, columns: &str, key: &str, way: &str, order: &str) -> String {
        // SQLite replans for every new limit, but not for a sum.
        let keys = self.sql(key, &format!("{way} limit ? + 0 offset ?"));
        format!(
            "select {columns} from {} where {key} in ({keys}) {order}",
            self.from
        )
    }

    /// The statement for the rows of the table `alias` with one of these guids.
    pub(crate) fn rows_sql(
        &self,
        columns: &str,
        alias: &str,
        guids: &OneOf,
        order: &str,
    ) -> String {
        format!(
            "select {columns} from {} where {alias}.guid {} {order}",
            self.from, guids.sql
        )
    }

    /// The statement that counts. SQLite omits outer joins without effect, but not in aggregates:
    /// so the rows are selected in a subquery.
    pub(crate) fn count_sql(&self) -> String {
        if self.from.contains("left join") {
            let rows = self.composed("1", "limit -1", Aim::Count);
            format!("select count(*) from ({rows})")
        } else {
            self.composed("count(*)", "", Aim::Count)
        }
    }

    /// The whole statement for `columns`, followed by `tail` (order, limit).
    pub(crate) fn sql(&self, columns: &str, tail: &str) -> String {
        self.composed(columns, tail, Aim::Rows)
    }

    fn composed(&self, columns: &str, tail: &str, aim: Aim) -> String {
        let mut sql = format!("select {columns} from {}", self.from);
        for (i, condition) in self.conditions.iter().enumerate() {
            let plus = condition.scanned && aim == Aim::Rows;
            sql += if i == 0 { " where (" } else { " and (" };
            sql += if plus { "+" } else { "" };
            sql += &condition.sql;
            sql += ")";
        }
        sql + " " + tail
    }

    /// The values in the order of their placeholders.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps(names: &[&str]) -> Select {
        let mut select = Select::from("apps a left join spaces s on s.guid = a.space_guid");
        select.and_column(Column::scanned("a.stack"), "= ?", ["x".to_owned()]);
        select.and_in("a.name", names);
        select
    }

    #[test]
    fn a_page_is_found_by_its_guids() {
        assert_eq!(
            apps(&["y", "z"]).page_sql(
                "a.*, s.name",
                "a.guid",
                "order by a.guid desc",
                "order by a.guid"
            ),
            "select a.*, s.name from apps a left join spaces s on s.guid = a.space_guid where a.guid in \
             (select a.guid from apps a left join spaces s on s.guid = a.space_guid \
             where (+a.stack = ?) and (a.name in (select value from json_each(?))) \
             order by a.guid desc limit ? + 0 offset ?) order by a.guid"
        );
    }

    #[test]
    fn a_count_may_use_every_index_and_no_outer_join() {
        assert_eq!(
            apps(&["y"]).count_sql(),
            "select count(*) from (select 1 from apps a left join spaces s on s.guid = a.space_guid \
             where (a.stack = ?) and (a.name = ?) limit -1)"
        );
        let mut plain = Select::from("apps a");
        plain.and_column::<String>(Column::scanned("a.guid"), "is not null", []);
        assert_eq!(
            plain.count_sql(),
            "select count(*) from apps a where (a.guid is not null) "
        );
    }

    #[test]
    fn the_text_does_not_grow_with_the_values() {
        let many = vec!["x\",'?"; 40_000];
        let select = apps(&many);
        assert_eq!(select.count_sql(), apps(&[]).count_sql());
        assert_eq!(select.values().len(), 2);
    }
}
