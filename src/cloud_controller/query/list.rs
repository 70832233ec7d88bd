//! Runs a list query: one count and one page.

use rusqlite::{Row, params_from_iter};

use super::guid_set::GuidSet;
use super::{End, ListQuery, OneOf, Page, Select};
use crate::cloud_controller::error::Result;
use crate::db::ReadTx;

/// One page of rows and the total count.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    /// All rows that match.
    pub total: i64,
    /// The rows of this page.
    pub rows: Vec<T>,
}

/// The columns of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns<'a> {
    /// Names the listed table in the select.
    pub alias: &'a str,
    /// What is read of it, as SQL.
    pub names: &'a str,
}

/// Reads one page. The alias names the listed table in `select`; each of its rows is there once.
pub(crate) fn list<T>(
    tx: &ReadTx<'_>,
    select: &Select,
    columns: Columns<'_>,
    query: &ListQuery,
    row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Listed<T>> {
    if !select.labels().is_empty() {
        return list_labelled(tx, select, columns, query, row);
    }
    let found = (query, count(tx, select)?);
    page(tx, select, columns, found, ("guid", Page::order), row)
}

/// The column that finds a row, and the page's order for an alias, read from one end.
type Key = (&'static str, fn(&Page, &str, End) -> String);

fn page<T>(
    tx: &ReadTx<'_>,
    select: &Select,
    columns: Columns<'_>,
    (query, total): (&ListQuery, i64),
    (key, order): Key,
    row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Listed<T>> {
    let page = &query.page;
    let mut rows = Vec::new();
    if !page.starts_after(total) {
        let (end, part) = page.part(total);
        let Columns { alias, names } = columns;
        let key = format!("{alias}.{key}");
        let (way, order) = (order(page, alias, end), order(page, alias, End::First));
        let sql = select.page_sql(names, &key, &way, &order);
        let mut statement = tx.sql().prepare_cached(&sql)?;
        let part = part.map(rusqlite::types::Value::from);
        let values = params_from_iter(select.values().iter().chain(&part));
        let found = statement.query_map(values, |r| row(r))?;
        rows = found.collect::<rusqlite::Result<_>>()?;
    }
    Ok(Listed { total, rows })
}

/// Like [`page`] with labels: one scan in the list's order finds the page, and counts where the
/// labels alone do not give the count. SQLite would look up every row twice.
fn list_labelled<T>(
    tx: &ReadTx<'_>,
    select: &Select,
    columns: Columns<'_>,
    query: &ListQuery,
    row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Listed<T>> {
    let mut sets = Vec::new();
    for label in select.labels() {
        let mut statement = tx.sql().prepare_cached(&label.sql)?;
        let mut guids = statement.query(params_from_iter(&label.values))?;
        let mut set = GuidSet::default();
        while let Some(row) = guids.next()? {
            set.insert(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
        }
        sets.push((label.wanted, set));
    }
    // Labels are deleted with their resource.
    let known = match &*sets {
        [(true, set)] if select.is_whole_table() => Some(set.len()),
        [(false, set)] if select.is_whole_table() => Some(count(tx, select)? - set.len()),
        _ => None,
    };
    let (end, [limit, offset]) = match known {
        Some(total) if query.page.starts_after(total) => (End::First, [0, 0]),
        Some(total) => query.page.part(total),
        None => (End::First, [query.page.size, query.page.window().start]),
    };
    let Columns { alias, names } = columns;
    let sql = select.sql(&format!("{alias}.guid"), &query.page.order(alias, end));
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let mut walk = statement.query(params_from_iter(select.values()))?;
    let (wanted, mut matching) = (offset..offset.saturating_add(limit), 0);
    let mut page = Vec::new();
    while known.is_none() || matching < wanted.end {
        let Some(row) = walk.next()? else { break };
        let guid = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        if sets
            .iter()
            .all(|(wanted, set)| set.contains(guid) == *wanted)
        {
            if wanted.contains(&matching) {
                page.push(guid.to_owned());
            }
            matching += 1;
        }
    }
    let order = query.page.order(alias, End::First);
    let guids = OneOf::texts(&page);
    let sql = select.rows_sql(names, alias, &guids, &order);
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([guids.value()], |r| row(r))?;
    Ok(Listed {
        total: known.unwrap_or(matching),
        rows: rows.collect::<rusqlite::Result<_>>()?,
    })
}

/// Reads one page of a table whose growing `id` gives the order of insertion, even within one
/// microsecond.
pub(crate) fn list_by_id<T>(
    tx: &ReadTx<'_>,
    select: &Select,
    columns: Columns<'_>,
    query: &ListQuery,
    row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Listed<T>> {
    let total = count(tx, select)?;
    page_by_id(tx, select, columns, (query, total), row)
}

/// The same with a known count.
pub(crate) fn page_by_id<T>(
    tx: &ReadTx<'_>,
    select: &Select,
    columns: Columns<'_>,
    found: (&ListQuery, i64),
    row: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Listed<T>> {
    page(tx, select, columns, found, ("id", Page::order_by_id), row)
}

/// The number of rows that match.
pub(crate) fn count(tx: &ReadTx<'_>, select: &Select) -> Result<i64> {
    let mut count = tx.sql().prepare_cached(&select.count_sql())?;
    Ok(count.query_row(params_from_iter(select.values()), |r| r.get(0))?)
}

impl<T> Listed<T> {
    /// The page of a list that is not in SQL.
    pub(crate) fn slice(all: Vec<T>, query: &ListQuery) -> Self {
        let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let skip = usize::try_from((query.page.number - 1).saturating_mul(query.page.size))
            .unwrap_or(usize::MAX);
        let take = usize::try_from(query.page.size).unwrap_or(usize::MAX);
        Self {
            total,
            rows: all.into_iter().skip(skip).take(take).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_controller::query::{Column, ListRules};
    use crate::db::{Db, DbError};

    /// SQLite's plan for a statement.
    async fn plan(db: &Db, sql: String) -> Vec<String> {
        let explained = db.read(move |tx| {
            let mut statement = tx.sql().prepare(&format!("explain query plan {sql}"))?;
            let steps = statement.raw_query().mapped(|row| row.get(3));
            Ok::<_, DbError>(steps.collect::<rusqlite::Result<Vec<String>>>()?)
        });
        explained.await.expect("a plan")
    }

    #[tokio::test]
    async fn one_value_and_many_are_found_in_the_same_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let index = |name: &str| format!("USING COVERING INDEX {name} ");
        let own = |table: &str| index(&format!("sqlite_autoindex_{table}_1"));
        let cases = [
            ("apps a", "a", "a.guid", own("apps")),
            ("spaces s", "s", "s.organization_guid", " USING ".to_owned()),
            ("audit_events e", "e", "e.target_guid", " USING ".to_owned()),
            ("builds b", "b", "b.app_guid", " USING ".to_owned()),
            ("routes r", "r", "r.host", " USING ".to_owned()),
        ];
        for (from, alias, column, step) in cases {
            for values in [&["x"][..], &["x", "y"]] {
                let mut select = Select::from(from);
                select.and_in(column, values);
                let found = plan(&db, select.sql(&format!("{alias}.guid"), "")).await;
                assert!(
                    found[0].starts_with("SEARCH ") && found[0].contains(&step),
                    "{column} {values:?}: {found:?}"
                );
            }
        }
    }

    #[tokio::test]
    async fn many_times_are_found_in_the_index_of_their_column() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let one = "created_ats=2026-01-02T03:04:05Z";
        for query in [one, &format!("{one},2026-01-02T03:04:06Z")] {
            let query = ListQuery::parse(Some(query), &ListRules::new(&[])).expect("valid");
            let mut select = Select::from("apps a");
            query
                .filter_common(&mut select, "a", None)
                .expect("conditions");
            let found = plan(&db, select.sql("a.guid", "")).await;
            let step =
                "SEARCH a USING COVERING INDEX apps_by_creation (created_at>? AND created_at<?)";
            assert_eq!(found[0], step, "{found:?}");
        }
    }

    #[tokio::test]
    async fn what_matches_many_rows_is_found_in_the_index_of_the_lists_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let routes = "routes r left join domains d on d.guid = r.domain_guid";
        let droplets = "droplets d left join apps a on a.guid = d.app_guid";
        let packages = "packages p left join apps a on a.guid = p.app_guid";
        let builds = "builds b left join apps a on a.guid = b.app_guid";
        let cases = [
            ("apps a", "a", "apps", "a.space_guid"),
            ("apps a", "a", "apps", "a.lifecycle_stack"),
            ("apps a", "a", "apps", "a.updated_at"),
            (routes, "r", "routes", "r.domain_guid"),
            (routes, "r", "routes", "r.space_guid"),
            (droplets, "d", "droplets", "d.state"),
            (packages, "p", "packages", "p.type"),
            (builds, "b", "builds", "b.state"),
        ];
        for (from, alias, table, column) in cases {
            for values in [&["x"][..], &["x", "y"]] {
                let mut select = Select::from(from);
                select.and_in(Column::scanned(column), values);
                let order = format!("order by {alias}.created_at desc, {alias}.guid desc limit 50");
                let found = plan(&db, select.sql(&format!("{alias}.guid"), &order)).await;
                let step = format!("SCAN {alias} USING COVERING INDEX {table}_by_creation");
                assert_eq!(found[0], step, "{column}: {found:?}");
            }
        }
    }
}
