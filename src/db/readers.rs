//! The pool of read-only connections: opened on demand, closed when idle, and bounded by the
//! concurrency of the queue of readers.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::{DbError, prepare};

/// Bytes of the file that a connection maps at most. Every connection's mapping counts as its own
/// resident memory.
const MAPPED: i64 = 32 * 1024 * 1024;
/// Idle time after which a connection is closed to free its mapping and caches. Opening another one
/// takes about a millisecond.
pub(super) const IDLE: Duration = Duration::from_secs(5);

/// The pool.
pub(super) struct Readers {
    path: PathBuf,
    /// The most recently used one is last and is used next.
    pooled: Mutex<Vec<PooledConnection>>,
}

struct PooledConnection {
    connection: Connection,
    since: Instant,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            pooled: Mutex::new(Vec::new()),
        }
    }

    /// Runs `work` in a snapshot. Its connection is closed instead of kept when `work` panics or
    /// leaves the transaction open.
    pub(super) fn read<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.take()?;
        let result = read_in(&connection, work);
        self.give_back(connection, Instant::now());
        result
    }

    fn take(&self) -> Result<Connection, DbError> {
        let pooled = self.pooled().pop();
        pooled.map_or_else(|| self.open(), |pooled| Ok(pooled.connection))
    }

    fn open(&self) -> Result<Connection, DbError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        prepare(&connection)?;
        // Lists walk indexes larger than the page cache; mapped, they are not copied.
        connection.pragma_update(None, "mmap_size", MAPPED)?;
        Ok(connection)
    }

    fn give_back(&self, connection: Connection, now: Instant) {
        if connection.is_autocommit() {
            let since = now;
            self.pooled().push(PooledConnection { connection, since });
        } else {
            tracing::warn!("closing a database reader that could not end its transaction");
        }
    }

    /// How many connections were not used for [`IDLE`].
    pub(super) fn count_idle(&self, now: Instant) -> usize {
        count_idle_in(&self.pooled(), now)
    }

    /// Closes them.
    pub(super) fn close_idle(&self, now: Instant) {
        let mut pooled = self.pooled();
        let count = count_idle_in(&pooled, now);
        let idle: Vec<PooledConnection> = pooled.drain(..count).collect();
        // Closing is slow, so it happens without the lock.
        drop(pooled);
        drop(idle);
    }

    fn pooled(&self) -> MutexGuard<'_, Vec<PooledConnection>> {
        self.pooled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn count_pooled(&self) -> usize {
        self.pooled().len()
    }
}

/// Idle ones come first, as the most recently used one is last.
fn count_idle_in(pooled: &[PooledConnection], now: Instant) -> usize {
    pooled.partition_point(|other| now.duration_since(other.since) > IDLE)
}

fn read_in<T, E: From<DbError>>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let tx = connection.unchecked_transaction().map_err(DbError::from)?;
    work(&tx)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readers() -> (tempfile::TempDir, Readers) {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("cflite.db");
        drop(super::super::Db::open(&path).expect("fresh database"));
        (dir, Readers::new(path))
    }

    #[test]
    fn the_most_recently_used_connection_is_used_next_and_idle_ones_are_closed() {
        let (_dir, readers) = readers();
        let [one, two, three] = [(); 3].map(|()| readers.open().expect("connection"));
        let start = Instant::now();
        readers.give_back(one, start);
        readers.give_back(two, start + Duration::from_secs(1));
        readers.give_back(three, start + Duration::from_secs(2));
        let used = readers.take().expect("connection");
        let later = start + IDLE + Duration::from_secs(1);
        readers.give_back(used, later);
        readers.close_idle(later);
        assert_eq!(readers.count_pooled(), 2, "one was idle for too long");
        assert_eq!(readers.count_idle(later), 0);
        readers.close_idle(later + IDLE);
        assert_eq!(readers.count_pooled(), 1);
        readers.close_idle(later + 2 * IDLE);
        assert_eq!(readers.count_pooled(), 0, "all were idle");
    }

    #[test]
    fn a_connection_with_an_open_transaction_is_not_kept() {
        let (_dir, readers) = readers();
        let left = readers.open().expect("connection");
        left.execute_batch("begin").expect("begin");
        readers.give_back(left, Instant::now());
        assert_eq!(readers.count_pooled(), 0);
        let count = readers.read(|connection| {
            let sql = "select count(*) from settings";
            Ok::<i64, DbError>(connection.query_row(sql, [], |row| row.get(0))?)
        });
        count.expect("a new connection");
        assert_eq!(readers.count_pooled(), 1);
    }
}
