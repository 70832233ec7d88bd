//! The one query builder: conditions are added as SQL with `?` and their values, in order.

use rusqlite::types::Value;

/// A `select` that grows conditions.
pub(crate) struct Select {
    from: String,
    conditions: Vec<String>,
    values: Vec<Value>,
    labels: Vec<Labelled>,
}

/// The listed rows' guids must, or must not, be among those of a set, which may be large.
pub(crate) struct Labelled {
    /// Whether they must be.
    pub wanted: bool,
    /// A statement that gives the set.
    pub sql: String,
    /// The values of its marks.
    pub values: Vec<Value>,
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

    /// Adds a condition; `sql` holds as many `?` as `values` has.
    pub(crate) fn and<V: Into<Value>>(&mut self, sql: &str, values: impl IntoIterator<Item = V>) {
        self.conditions.push(format!("({sql})"));
        self.values.extend(values.into_iter().map(Into::into));
    }

    /// Adds that the listed rows' guids are, or are not, among those that the statement `sql` gives.
    pub(crate) fn and_labelled<V: Into<Value>>(
        &mut self,
        wanted: bool,
        sql: String,
        values: impl IntoIterator<Item = V>,
    ) {
        let values = values.into_iter().map(Into::into).collect();
        self.labels.push(Labelled {
            wanted,
            sql,
            values,
        });
    }

    /// What [`Select::and_labelled`] added: no statement here has it, [`super::list`] sees to it.
    pub(crate) fn labels(&self) -> &[Labelled] {
        &self.labels
    }

    /// Whether every row of one table is listed, but for labels.
    pub(crate) fn is_whole_table(&self) -> bool {
        self.conditions.is_empty() && !self.from.contains(" join ")
    }

    /// Adds `column in (…)`; an empty list matches nothing.
    pub(crate) fn and_in<S: AsRef<str>>(&mut self, column: &str, values: &[S]) {
        let marks = vec!["?"; values.len()].join(", ");
        let sql = format!("{column} in ({marks})");
        self.and(&sql, values.iter().map(|v| v.as_ref().to_owned()));
    }

    /// Adds a condition around a list: `{}` in `sql` becomes the marks.
    pub(crate) fn and_marks<S: AsRef<str>>(&mut self, sql: &str, values: &[S]) {
        let marks = vec!["?"; values.len()].join(", ");
        self.and(
            &sql.replace("{}", &marks),
            values.iter().map(|v| v.as_ref().to_owned()),
        );
    }

    /// The statement for one page: the rows' keys are found first, mostly in an index, and only the
    /// page's rows are read. `way` is the order in which they are found; limit and offset follow the
    /// values of the conditions.
    pub(crate) fn page_sql(&self, columns: &str, key: &str, way: &str, order: &str) -> String {
        // SQLite plans anew for every other limit; a sum it does not look into.
        let keys = self.sql(key, &format!("{way} limit ? + 0 offset ?"));
        format!(
            "select {columns} from {} where {key} in ({keys}) {order}",
            self.from
        )
    }

    /// The statement for the rows of the table `alias` with `count` guids, which are its values.
    pub(crate) fn rows_sql(&self, columns: &str, alias: &str, count: usize, order: &str) -> String {
        let marks = vec!["?"; count].join(", ");
        format!(
            "select {columns} from {} where {alias}.guid in ({marks}) {order}",
            self.from
        )
    }

    /// The statement that counts. A count has no order: the pluses that keep conditions from using
    /// an index go. SQLite leaves out outer joins that change nothing, but not in aggregates: so the
    /// rows are listed inside.
    pub(crate) fn count_sql(&self) -> String {
        let sql = if self.from.contains("left join") {
            format!("select count(*) from ({})", self.sql("1", "limit -1"))
        } else {
            self.sql("count(*)", "")
        };
        sql.replace("(+", "(")
    }

    /// The whole statement for `columns`, with `tail` (order, limit) behind the conditions.
    pub(crate) fn sql(&self, columns: &str, tail: &str) -> String {
        let conditions = if self.conditions.is_empty() {
            String::new()
        } else {
            format!(" where {}", self.conditions.join(" and "))
        };
        format!("select {columns} from {}{conditions} {tail}", self.from)
    }

    /// The values in the order of their marks.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps() -> Select {
        let mut select = Select::from("apps a left join spaces s on s.guid = a.space_guid");
        select.and("+a.stack = ?", ["x".to_owned()]);
        select.and_in("a.name", &["y", "z"]);
        select
    }

    #[test]
    fn a_page_is_found_by_its_guids() {
        assert_eq!(
            apps().page_sql(
                "a.*, s.name",
                "a.guid",
                "order by a.guid desc",
                "order by a.guid"
            ),
            "select a.*, s.name from apps a left join spaces s on s.guid = a.space_guid where a.guid in \
             (select a.guid from apps a left join spaces s on s.guid = a.space_guid \
             where (+a.stack = ?) and (a.name in (?, ?)) order by a.guid desc limit ? + 0 offset ?) order by a.guid"
        );
    }

    #[test]
    fn a_count_may_use_every_index_and_no_outer_join() {
        assert_eq!(
            apps().count_sql(),
            "select count(*) from (select 1 from apps a left join spaces s on s.guid = a.space_guid \
             where (a.stack = ?) and (a.name in (?, ?)) limit -1)"
        );
        let mut plain = Select::from("apps a");
        plain.and::<String>("+a.guid is not null", []);
        assert_eq!(
            plain.count_sql(),
            "select count(*) from apps a where (a.guid is not null) "
        );
    }
}
