//! Rows that do not decode: skipped by workers, reported once, and counted.
//!
//! A worker that reads many rows and acts on them reads through a [`Reading`], so that a damaged
//! row affects only its own resource. The worker must not treat an unreadable row as missing;
//! [`Reading::keys`] lists the unreadable ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::{Params, Row, Statement};

use super::{DbError, ReadTx};

/// A row that does not decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRow {
    /// The reader, usually the table's name.
    pub reader: &'static str,
    /// The row's first column.
    pub key: String,
    /// The app it belongs to, if the row says so.
    pub app_guid: Option<String>,
    /// Why it does not decode.
    pub reason: String,
}

type Reporter = Box<dyn Fn(&UnreadableRow) + Send + Sync>;

/// The unreadable rows that each reader found at its last read.
#[derive(Default)]
pub(super) struct UnreadableRows {
    known: Mutex<BTreeMap<&'static str, BTreeSet<String>>>,
    reporter: OnceLock<Reporter>,
}

impl UnreadableRows {
    pub(super) fn set_reporter(&self, reporter: Reporter) {
        self.reporter.get_or_init(|| reporter);
    }

    pub(super) fn count(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().map(BTreeSet::len).sum()
    }

    /// Replaces what the reader found before; new ones are reported.
    fn replace(&self, reader: &'static str, found: &[UnreadableRow]) {
        let keys = found.iter().map(|row| row.key.clone()).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(reader, keys).unwrap_or_default();
        drop(known);
        for row in found.iter().filter(|row| !before.contains(&row.key)) {
            tracing::error!(
                reader, key = %row.key, app.guid = row.app_guid, reason = %row.reason,
                "skipping a database row that cannot be read"
            );
            if let Some(report) = self.reporter.get() {
                report(row);
            }
        }
    }
}

/// One read of many rows. Without [`Reading::finish`] nothing is reported or counted.
pub struct Reading<'tx> {
    rows: &'tx UnreadableRows,
    reader: &'static str,
    found: Vec<UnreadableRow>,
}

impl<'a> ReadTx<'a> {
    /// Begins a read of many rows; `reader` is the table's name, or another one where several
    /// workers read the same table.
    pub fn reading(&self, reader: &'static str) -> Reading<'a> {
        Reading {
            rows: self.unreadable,
            reader,
            found: Vec::new(),
        }
    }
}

impl Reading<'_> {
    /// Decodes each row of a query on its own. The first column is the key, a column `app_guid`
    /// the app.
    pub fn rows<T>(
        &mut self,
        statement: &mut Statement<'_>,
        parameters: impl Params,
        mut decode: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Vec<T>, DbError> {
        let app_column = statement.column_index("app_guid").ok();
        let mut rows = statement.query(parameters)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            match decode(row) {
                Ok(value) => all.push(value),
                Err(error) if error.is_unreadable() => {
                    let app = app_column.map(|column| text(row, column)).transpose()?;
                    self.unreadable(text(row, 0)?, app, &error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Records a row whose columns decode but whose content does not.
    pub fn unreadable(
        &mut self,
        key: impl Into<String>,
        app_guid: Option<String>,
        reason: &impl fmt::Display,
    ) {
        self.found.push(UnreadableRow {
            reader: self.reader,
            key: key.into(),
            app_guid,
            reason: reason.to_string(),
        });
    }

    /// The unreadable rows so far.
    pub fn found(&self) -> &[UnreadableRow] {
        &self.found
    }

    /// The keys of the unreadable rows so far.
    pub fn keys<K: for<'k> From<&'k str>>(&self) -> impl Iterator<Item = K> {
        self.found.iter().map(|row| K::from(row.key.as_str()))
    }

    /// Reports rows that are new and counts all.
    pub fn finish(self) {
        self.rows.replace(self.reader, &self.found);
    }
}

/// A column as text, whatever its type.
fn text(row: &Row<'_>, column: usize) -> Result<String, DbError> {
    let value = row.get_ref(column)?;
    Ok(match value.as_bytes() {
        Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Err(_) => value
            .as_i64()
            .map_or(String::new(), |number| number.to_string()),
    })
}

impl DbError {
    /// Whether a row does not decode; a retry would not help.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Inconsistent { .. } => true,
            Self::Sqlite(error) => matches!(
                error,
                rusqlite::Error::FromSqlConversionFailure(..)
                    | rusqlite::Error::IntegralValueOutOfRange(..)
                    | rusqlite::Error::InvalidColumnType(..)
                    | rusqlite::Error::Utf8Error(..)
            ),
            Self::TooNew { .. } | Self::Overloaded(_) | Self::Interrupted(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::db::Db;

    use super::*;

    async fn names(db: &Db) -> Vec<String> {
        db.read(|tx| {
            let mut reading = tx.reading("settings");
            let mut statement = tx
                .sql()
                .prepare_cached("select name, value, 'a1' as app_guid from settings where name like 't%' order by name")?;
            let all = reading.rows(&mut statement, [], |row| {
                let _value: String = row.get(1)?;
                Ok(row.get(0)?)
            })?;
            reading.finish();
            Ok::<_, DbError>(all)
        })
        .await
        .expect("read")
    }

    async fn change(db: &Db, sql: &'static str) {
        let write = db.write(move |tx| Ok::<_, DbError>(tx.sql().execute_batch(sql)?));
        write.await.expect("written");
    }

    #[tokio::test]
    async fn a_damaged_row_is_skipped_reported_once_and_counted_until_it_is_repaired() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("db")).expect("database");
        let reported = Arc::new(Mutex::new(Vec::new()));
        let memory = reported.clone();
        db.on_unreadable(move |row| {
            let mut reported = memory.lock().expect("reported");
            reported.push((row.key.clone(), row.app_guid.clone()));
        });
        change(
            &db,
            "insert into settings (name, value) values ('t1', 'x'), ('t2', cast(x'ff' as text)), ('t3', 'y')",
        )
        .await;
        for _ in 0..2 {
            assert_eq!(names(&db).await, ["t1", "t3"]);
            assert_eq!(db.unreadable_rows(), 1);
        }
        let expected = [("t2".to_owned(), Some("a1".to_owned()))];
        assert_eq!(*reported.lock().expect("reported"), expected);
        change(&db, "update settings set value = 'z' where name = 't2'").await;
        assert_eq!(names(&db).await, ["t1", "t2", "t3"]);
        assert_eq!(db.unreadable_rows(), 0);
    }

    #[tokio::test]
    async fn a_failed_attempt_is_rolled_back_alone() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("db")).expect("database");
        db.write(|tx| {
            let insert = |name: &str| {
                let sql = "insert into settings (name, value) values (?1, 'x')";
                Ok::<_, DbError>(tx.sql().execute(sql, [name])?)
            };
            insert("t1")?;
            let refused = tx.attempt(|| {
                insert("t2")?;
                insert("t1")
            })?;
            assert!(refused.is_err());
            assert_eq!(tx.attempt(|| insert("t3"))?.ok(), Some(1));
            Ok::<_, DbError>(())
        })
        .await
        .expect("written");
        assert_eq!(names(&db).await, ["t1", "t3"]);
    }
}
