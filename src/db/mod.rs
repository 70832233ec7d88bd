//! SQLite, the source of truth: a single writer, a pool of readers, and a notification after every
//! commit.
//!
//! - [`Db::write`] runs a closure in `BEGIN IMMEDIATE`; `Ok` commits, `Err` rolls back. A write is
//!   acknowledged only after its commit reached the disk (WAL with `synchronous=FULL`).
//! - [`Db::read`] runs a closure in a read-only snapshot.
//! - Closures are synchronous, so no transaction is ever held over an await.
//! - [`Db::changes`] wakes reconcilers; it carries no data, they read the tables again.
//! - A caller may be cancelled at any time. A transaction that has begun still completes and keeps
//!   its connection until then; one that has not begun never runs.
//! - [`WriteTx::after_commit`] updates caches of rows in the order of the commits.
//!
//! Decisions: the writer and the readers are queues ([`WorkQueue`]) in front of the runtime's
//! blocking threads, not separate threads: with a paused test clock no timeout fires while a write
//! runs. Every other kind of blocking work is limited too, so that a thread is always free for the
//! database.

mod copy;
mod migrate;
mod readers;
mod sql;
mod unreadable;
mod vault;

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::base::{Bounds, QueueError, Supervisor, WorkQueue, private_file};

use readers::Readers;

use unreadable::UnreadableRows;

pub use copy::{check, copy, edit};
pub use migrate::{CURRENT_VERSION, version_of as version};
pub use sql::Sql;
pub use unreadable::{Reading, UnreadableRow};
pub use vault::{Vault, VaultError, holds_data};

/// One connection each; most transactions take a millisecond.
const READERS: usize = 4;
/// A caller that waits longer for a connection gets [`DbError::Overloaded`].
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long SQLite waits for another process.
const BUSY: Duration = Duration::from_secs(10);
/// Enough for a burst of a few hundred clients and all workers.
const MAX_WAITING: usize = 4096;

/// Why the database could not be used. Never "not found": a missing row is no error.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite failed.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row holds a value that cflite never writes.
    #[error("database holds an invalid {what}: {value}")]
    Inconsistent {
        /// Table and column.
        what: &'static str,
        /// What was found.
        value: String,
    },
    /// The file was written by a newer cflite.
    #[error(
        "the database has schema version {found}, this cflite supports up to {known}: use a newer cflite"
    )]
    TooNew {
        /// Version in the file.
        found: i64,
        /// Version of this binary.
        known: i64,
    },
    /// The closure panicked or the runtime is shutting down.
    #[error("database work was interrupted: {0}")]
    Interrupted(String),
    /// The queue is full or the wait timed out; nothing was read or written.
    #[error("{0}")]
    Overloaded(QueueError),
}

impl From<QueueError> for DbError {
    fn from(cause: QueueError) -> Self {
        match cause {
            QueueError::Interrupted { cause, .. } => Self::Interrupted(cause),
            QueueError::Full { .. } | QueueError::TimedOut { .. } => Self::Overloaded(cause),
        }
    }
}

/// A read-only snapshot.
pub struct ReadTx<'a> {
    sql: Sql<'a>,
    unreadable: &'a UnreadableRows,
}

/// The write transaction. It can also read everything that a [`ReadTx`] can.
pub struct WriteTx<'a> {
    read: ReadTx<'a>,
    after_commit: RefCell<Vec<AfterCommit>>,
}

type AfterCommit = Box<dyn FnOnce() + Send>;

impl<'a> ReadTx<'a> {
    /// The connection, for `store` modules.
    pub fn sql(&self) -> Sql<'a> {
        self.sql
    }
}

impl<'a> WriteTx<'a> {
    fn of(read: ReadTx<'a>) -> Self {
        Self {
            read,
            after_commit: RefCell::default(),
        }
    }

    /// Updates a cache of rows once this transaction is committed, and not at all when it is rolled
    /// back. The writer is still locked then: changes of several transactions are applied in the
    /// order of their commits, also when the caller was cancelled. `change` must be quick and must
    /// not panic or write.
    pub fn after_commit(&self, change: impl FnOnce() + Send + 'static) {
        self.after_commit.borrow_mut().push(Box::new(change));
    }

    /// Runs `work` in a savepoint: when it fails, its error is returned, its writes are rolled
    /// back, and the transaction continues. Fails itself when the transaction cannot continue.
    pub fn attempt<T>(
        &self,
        work: impl FnOnce() -> Result<T, DbError>,
    ) -> Result<Result<T, DbError>, DbError> {
        self.sql().execute_batch("savepoint attempt")?;
        let staged = self.after_commit.borrow().len();
        let done = work();
        let end = if done.is_ok() {
            "release attempt"
        } else {
            self.after_commit.borrow_mut().truncate(staged);
            "rollback to attempt; release attempt"
        };
        self.sql().execute_batch(end)?;
        Ok(done)
    }
}

impl<'a> std::ops::Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;
    fn deref(&self) -> &ReadTx<'a> {
        &self.read
    }
}

/// What follows a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// All who wait for changes are woken.
    Wake,
    /// Nobody is.
    Nothing,
}

/// The database of one platform; cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    /// Only what runs in `writes` locks it.
    writer: Mutex<Connection>,
    writes: WorkQueue,
    readers: Readers,
    reads: WorkQueue,
    changes: watch::Sender<u64>,
    unreadable: UnreadableRows,
    #[cfg(any(test, feature = "testing"))]
    texts: sql::Texts,
}

/// How many rows each table has, of a database that a platform may use right now. Nothing is changed.
pub fn row_counts(path: &Path) -> Result<std::collections::BTreeMap<String, i64>, DbError> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let mut names = connection.prepare(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\'",
    )?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    let mut counts = std::collections::BTreeMap::new();
    for name in names {
        let name = name?;
        let query = format!("select count(*) from \"{}\"", name.replace('"', "\"\""));
        let count = connection.query_row(&query, [], |row| row.get(0))?;
        counts.insert(name, count);
    }
    Ok(counts)
}

impl Db {
    /// Opens (and creates or migrates) the database file.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        // SQLite creates its other files with the mode of this one.
        private_file::touch(path).map_err(|error| DbError::Interrupted(error.to_string()))?;
        let mut writer = Connection::open(path)?;
        // One of a newer cflite is left as it is.
        migrate::version(&writer)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        prepare(&writer)?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
        migrate::run(&mut writer, path)?;
        let bounds = |at_once| Bounds {
            at_once,
            waiting: MAX_WAITING,
            timeout: QUEUE_TIMEOUT,
        };
        Ok(Self(Arc::new(Inner {
            writer: Mutex::new(writer),
            writes: WorkQueue::new("the database's writer", bounds(1)),
            readers: Readers::new(path.to_owned()),
            reads: WorkQueue::new("the database", bounds(READERS)),
            changes: watch::Sender::new(0),
            unreadable: UnreadableRows::default(),
            #[cfg(any(test, feature = "testing"))]
            texts: sql::Texts::default(),
        })))
    }

    /// Starts a worker that closes idle readers.
    pub fn close_idle_readers(&self, supervisor: &Supervisor) {
        let db = self.clone();
        supervisor.worker("idle database readers", move |token| {
            db.clone().run_close_idle_readers(token)
        });
    }

    async fn run_close_idle_readers(self, token: CancellationToken) -> Result<(), QueueError> {
        let mut ticks = tokio::time::interval(readers::IDLE);
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            if self.0.readers.count_idle(Instant::now()) > 0 {
                let inner = self.0.clone();
                let close = move || inner.readers.close_idle(Instant::now());
                self.0.reads.run(close).await?;
            }
        }
    }

    /// Reads in a snapshot.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let inner = self.0.clone();
        let read = self.0.reads.run(move || {
            let work = |connection: &_| work(&inner.transaction(connection));
            inner.readers.read(work)
        });
        read.await.map_err(DbError::from)?
    }

    /// Writes in one transaction: `Ok` commits and wakes all receivers of [`Db::changes`].
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.run_write(work, After::Wake).await
    }

    /// Like [`Db::write`], but without a notification: for frequent writes (log lines, cursors)
    /// that no reconciler acts on.
    pub async fn write_without_wake<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.run_write(work, After::Nothing).await
    }

    async fn run_write<T, E, F>(&self, work: F, after: After) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let inner = self.0.clone();
        let written = self.0.writes.run(move || {
            let mut writer = inner.writer();
            roll_back_left_over(&writer)?;
            let tx = writer
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(DbError::from)?;
            let write = WriteTx::of(inner.transaction(&tx));
            let value = work(&write)?;
            let after_commit = write.after_commit.take();
            tx.commit().map_err(DbError::from)?;
            // Inside the blocking closure and before the writer is unlocked: a cancelled request
            // still commits, updates the caches and wakes.
            for change in after_commit {
                change();
            }
            if after == After::Wake {
                inner.changes.send_modify(|n| *n += 1);
            }
            Ok(value)
        });
        written.await.map_err(DbError::from)?
    }

    /// Wakes all receivers of [`Db::changes`] without a commit: what they compare with rows changed.
    pub fn wake(&self) {
        self.0.changes.send_modify(|n| *n += 1);
    }

    /// Marked changed after every commit of [`Db::write`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The texts of all cached statements, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn statement_texts(&self) -> std::collections::BTreeSet<String> {
        self.0.texts.seen()
    }

    /// How many rows workers skipped at their last read because they do not decode.
    pub fn unreadable_rows(&self) -> usize {
        self.0.unreadable.count()
    }

    /// Sets what is called for a row that was found unreadable, besides logging it; only the first
    /// call has an effect. `report` runs inside transactions, so it must not wait.
    pub fn on_unreadable(&self, report: impl Fn(&UnreadableRow) + Send + Sync + 'static) {
        self.0.unreadable.set_reporter(Box::new(report));
    }

    /// Checkpoints the write-ahead log; called on a clean shutdown.
    pub async fn checkpoint(&self) -> Result<(), DbError> {
        let inner = self.0.clone();
        let done = self.0.writes.run(move || {
            let checkpoint = "pragma wal_checkpoint(truncate)";
            inner.writer().query_row(checkpoint, [], |_| Ok(()))
        });
        done.await.map_err(DbError::from)?.map_err(DbError::from)
    }
}

impl Inner {
    fn transaction<'a>(&'a self, connection: &'a Connection) -> ReadTx<'a> {
        ReadTx {
            sql: Sql {
                connection,
                #[cfg(any(test, feature = "testing"))]
                texts: &self.texts,
            },
            unreadable: &self.unreadable,
        }
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Connection> {
        // The transaction of a closure that panicked was rolled back during unwinding.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rolls back an earlier transaction whose own rollback failed.
fn roll_back_left_over(writer: &Connection) -> Result<(), DbError> {
    if !writer.is_autocommit() {
        tracing::warn!("rolling back a write transaction that was left open");
        writer.execute_batch("rollback")?;
    }
    Ok(())
}

fn prepare(connection: &Connection) -> Result<(), DbError> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // 2 MiB of page cache per connection keeps the resident size small with five of them open.
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Whether a write violated a unique index: the loser of a race, not a fault.
pub fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::SqliteFailure(cause, _)
            if cause.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                || cause.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
    )
}

#[cfg(test)]
mod tests;
