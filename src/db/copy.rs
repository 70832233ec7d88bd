//! Copies of a database, as it is at one moment, whoever writes to it meanwhile.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

#[cfg(any(test, feature = "testing"))]
use super::sql::Texts;
use super::unreadable::UnreadableRows;
use super::{DbError, ReadTx, Sql, WriteTx, prepare};
use crate::base::private_file;

/// Copies the database `from` to the new file `to`, for its owner only; all of it is on disk when this
/// returns. `change` may change the copy, which nobody else sees. The copy has no write-ahead log.
pub fn copy<T, E: From<DbError>>(
    from: &Path,
    to: &Path,
    change: impl FnOnce(&WriteTx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    copy_file(from, to)?;
    edit(to, change)
}

/// Changes a database that no platform has open.
pub fn edit<T, E: From<DbError>>(
    path: &Path,
    change: impl FnOnce(&WriteTx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let mut connection = open(path)?;
    prepare(&connection)?;
    let full = connection.pragma_update(None, "synchronous", "FULL");
    full.map_err(DbError::from)?;
    let tx = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(DbError::from)?;
    let unreadable = UnreadableRows::default();
    #[cfg(any(test, feature = "testing"))]
    let texts = Texts::default();
    let write = WriteTx::of(ReadTx {
        sql: Sql {
            connection: &tx,
            #[cfg(any(test, feature = "testing"))]
            texts: &texts,
        },
        unreadable: &unreadable,
    });
    let changed = change(&write)?;
    drop(write);
    tx.commit().map_err(DbError::from)?;
    Ok(changed)
}

/// Reads every page of a database that no platform has open: finds what a disk or a transport damaged.
pub fn check(path: &Path) -> Result<(), DbError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let found: String = connection.query_row("pragma integrity_check", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(DbError::Inconsistent {
        what: "page",
        value: found,
    })
}

/// Copies all rows and the schema version.
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<(), DbError> {
    let interrupted =
        |error: std::io::Error| DbError::Interrupted(format!("{}: {error}", to.display()));
    // SQLite writes into an empty file, which has the right mode already.
    private_file::touch(to).map_err(interrupted)?;
    let source = open(from)?;
    source.busy_timeout(super::BUSY)?;
    let name = to
        .to_str()
        .ok_or_else(|| DbError::Interrupted(format!("the path {} is not UTF-8", to.display())))?;
    source.execute("vacuum into ?1", [name])?;
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(interrupted)
}

fn open(path: &Path) -> Result<Connection, DbError> {
    Ok(Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;

    fn insert(tx: &WriteTx<'_>, name: &str) -> Result<(), DbError> {
        const SQL: &str = "insert into blobs (digest, size, last_put_at) values (?1, 1, 1)";
        tx.sql().execute(SQL, [name])?;
        Ok(())
    }

    fn names(tx: &WriteTx<'_>) -> Result<Vec<String>, DbError> {
        let mut statement = tx
            .sql()
            .prepare("select digest from blobs order by digest")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    #[tokio::test]
    async fn a_copy_has_what_is_committed_and_can_be_changed() {
        let place = tempfile::tempdir().expect("temporary folder");
        let (path, to) = (place.path().join("a.db"), place.path().join("b.db"));
        let db = Db::open(&path).expect("opened");
        let write = |tx: &WriteTx<'_>| insert(tx, "one");
        db.write(write).await.expect("written");
        // It is in the write-ahead log only.
        let seen: Result<_, DbError> = copy(&path, &to, |tx| {
            let seen = names(tx)?;
            insert(tx, "two")?;
            Ok(seen)
        });
        assert_eq!(seen.expect("copied"), ["one"]);
        check(&to).expect("sound");
        assert_eq!(
            crate::db::version(&to).expect("read"),
            super::super::CURRENT_VERSION
        );
        let own: Result<_, DbError> = db.write(names).await;
        assert_eq!(own.expect("read"), ["one"]);
        let copied: Result<_, DbError> = edit(&to, names);
        assert_eq!(copied.expect("read"), ["one", "two"]);
        let refused: Result<(), DbError> = copy(&path, &to, |_| Ok(()));
        refused.expect_err("there is a file");
    }

    #[test]
    fn a_damaged_file_is_found() {
        use std::os::unix::fs::FileExt;
        let place = tempfile::tempdir().expect("temporary folder");
        let (path, to) = (place.path().join("a.db"), place.path().join("b.db"));
        drop(Db::open(&path).expect("opened"));
        copy_file(&path, &to).expect("copied");
        let size = std::fs::metadata(&to).expect("there").len();
        let file = File::options().write(true).open(&to).expect("opened");
        file.write_all_at(&[0xff; 4096], size / 2).expect("damaged");
        check(&to).expect_err("found");
    }
}
