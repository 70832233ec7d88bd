//! SQLite, the one source of truth: a single writer, a pool of readers, and a wake-up after every
//! commit.
//!
//! - [`Db::write`] runs a closure in `BEGIN IMMEDIATE`; `Ok` commits, `Err` rolls back. A write is
//!   acknowledged only after its commit reached the disk (WAL with `synchronous=FULL`).
//! - [`Db::read`] runs a closure in a read-only snapshot.
//! - Closures are synchronous, so no transaction is ever held over an await.
//! - [`Db::changes`] wakes reconcilers; the wake-up carries no data, they read the tables again.
//!
//! Decisions: the writer queue is a fair async mutex in front of `spawn_blocking`, not a thread of
//! its own: paused test clocks then do not fire time-outs while a write is under way.

mod migrate;
mod vault;

use std::path::Path;
use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::{Semaphore, watch};

pub use migrate::CURRENT_VERSION;
pub use vault::{Vault, VaultError};

const READERS: usize = 4;
/// Bytes of the file that readers map at most.
const MAPPED: i64 = 256 * 1024 * 1024;

/// Why the database could not be used. Never "not found": a missing row is a value, not a fault.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite refused.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row holds what no code of ours writes.
    #[error("database holds an invalid {what}: {value}")]
    Inconsistent {
        /// Table and column.
        what: &'static str,
        /// What was found.
        value: String,
    },
    /// The file was written by a newer cflite.
    #[error("the database has schema {found}, this cflite knows up to {known}: use a newer cflite")]
    TooNew {
        /// Version in the file.
        found: i64,
        /// Version of this binary.
        known: i64,
    },
    /// The closure panicked or the runtime is going down.
    #[error("database work was interrupted: {0}")]
    Interrupted(String),
}

/// A read-only snapshot.
pub struct ReadTx<'a>(&'a Connection);

/// The one write transaction. Everything that can be read in a [`ReadTx`] can be read here.
pub struct WriteTx<'a>(ReadTx<'a>);

impl<'a> ReadTx<'a> {
    /// The connection, for `store` modules.
    pub fn sql(&self) -> &'a Connection {
        self.0
    }
}

impl<'a> std::ops::Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;
    fn deref(&self) -> &ReadTx<'a> {
        &self.0
    }
}

/// The database of one platform; cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    writer: Arc<tokio::sync::Mutex<Connection>>,
    readers: std::sync::Mutex<Vec<Connection>>,
    tickets: Semaphore,
    changes: watch::Sender<u64>,
    path: std::path::PathBuf,
}

impl Db {
    /// Opens (and makes or migrates) the database file.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let mut writer = Connection::open(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        prepare(&writer)?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
        migrate::run(&mut writer)?;
        Ok(Self(Arc::new(Inner {
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
            readers: std::sync::Mutex::new(Vec::new()),
            tickets: Semaphore::new(READERS),
            changes: watch::Sender::new(0),
            path: path.to_owned(),
        })))
    }

    /// Reads in a snapshot.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        // The ticket comes before the connection: nobody waits while holding one.
        let ticket = self
            .0
            .tickets
            .acquire()
            .await
            .map_err(|e| interrupted(&e))?;
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let connection = inner.take_reader()?;
            let result = read_in(&connection, work);
            inner.give_back(connection);
            result
        })
        .await;
        drop(ticket);
        done.map_err(|e| interrupted(&e))?
    }

    /// Writes in one transaction: `Ok` commits and wakes all who wait for changes.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.write_quietly(work, true).await
    }

    /// Like [`Db::write`], but wakes nobody: for high-rate bookkeeping (log lines, cursors) that
    /// no reconciler acts on.
    pub async fn write_without_wake<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.write_quietly(work, false).await
    }

    async fn write_quietly<T, E, F>(&self, work: F, wake: bool) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let mut writer = self.0.writer.clone().lock_owned().await;
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let tx = writer
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(DbError::from)?;
            let value = work(&WriteTx(ReadTx(&tx)))?;
            tx.commit().map_err(DbError::from)?;
            // Inside the blocking closure: a request dropped half-way still commits and wakes.
            if wake {
                inner.changes.send_modify(|n| *n += 1);
            }
            Ok(value)
        })
        .await;
        done.map_err(|e| interrupted(&e))?
    }

    /// Marked changed after every commit of [`Db::write`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Folds the write-ahead log into the file; called on a clean shutdown.
    pub async fn checkpoint(&self) -> Result<(), DbError> {
        let writer = self.0.writer.clone().lock_owned().await;
        tokio::task::spawn_blocking(move || {
            writer.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
        })
        .await
        .map_err(|e| interrupted(&e))?
        .map_err(DbError::from)
    }
}

impl Inner {
    fn take_reader(&self) -> Result<Connection, DbError> {
        let pooled = self
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match pooled {
            Some(connection) => Ok(connection),
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(&self.path, flags)?;
                prepare(&connection)?;
                // Lists walk indexes larger than the page cache; mapped, they are not copied.
                connection.pragma_update(None, "mmap_size", MAPPED)?;
                Ok(connection)
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}

fn prepare(connection: &Connection) -> Result<(), DbError> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // 2 MiB of page cache a connection keeps the resident size small with five of them open.
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn read_in<T, E: From<DbError>>(
    connection: &Connection,
    work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let tx = connection.unchecked_transaction().map_err(DbError::from)?;
    work(&ReadTx(&tx))
}

fn interrupted(cause: &impl std::fmt::Display) -> DbError {
    DbError::Interrupted(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("fresh database");
        (dir, db)
    }

    #[tokio::test]
    async fn an_error_rolls_back_and_wakes_nobody() {
        let (_dir, db) = temporary();
        let changes = db.changes();
        let refused: Result<(), DbError> = db
            .write(|tx| {
                tx.sql()
                    .execute("insert into settings (name, value) values ('a', 'b')", [])?;
                Err(DbError::Interrupted("no".into()))
            })
            .await;
        assert!(refused.is_err());
        let count: i64 = db
            .read(|tx| {
                let n =
                    tx.sql()
                        .query_row("select count(*) from settings where name = 'a'", [], |r| {
                            r.get(0)
                        });
                n.map_err(DbError::from)
            })
            .await
            .expect("count");
        assert_eq!(count, 0);
        assert!(!changes.has_changed().expect("sender lives"));
    }

    #[tokio::test]
    async fn a_commit_is_seen_by_readers_and_wakes() {
        let (_dir, db) = temporary();
        let changes = db.changes();
        db.write(|tx| {
            tx.sql()
                .execute("insert into settings (name, value) values ('a', 'b')", [])?;
            Ok::<_, DbError>(())
        })
        .await
        .expect("write");
        assert!(changes.has_changed().expect("sender lives"));
        let value: String = db
            .read(|tx| {
                let v =
                    tx.sql()
                        .query_row("select value from settings where name = 'a'", [], |r| {
                            r.get(0)
                        });
                v.map_err(DbError::from)
            })
            .await
            .expect("value");
        assert_eq!(value, "b");
    }

    #[tokio::test]
    async fn opening_twice_migrates_once() {
        let (dir, db) = temporary();
        drop(db);
        Db::open(&dir.path().join("cflite.db")).expect("second opening");
    }
}
