//! The read-only connections: opened when they are needed, kept, and never more than the queue of
//! readers lets in at once.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::{DbError, prepare};

/// Connections at rest.
pub(super) struct Readers {
    path: PathBuf,
    resting: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            resting: Mutex::new(Vec::new()),
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
        if connection.is_autocommit() {
            self.resting().push(connection);
        } else {
            tracing::warn!("a database reader could not end its transaction and is closed");
        }
        result
    }

    fn take(&self) -> Result<Connection, DbError> {
        let resting = self.resting().pop();
        resting.map_or_else(|| self.open(), Ok)
    }

    fn open(&self) -> Result<Connection, DbError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        prepare(&connection)?;
        // Lists walk indexes larger than the page cache; mapped, they are not copied.
        connection.pragma_update(None, "mmap_size", super::MAPPED)?;
        Ok(connection)
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn count_resting(&self) -> usize {
        self.resting().len()
    }
}

fn read_in<T, E: From<DbError>>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let tx = connection.unchecked_transaction().map_err(DbError::from)?;
    work(&tx)
}
