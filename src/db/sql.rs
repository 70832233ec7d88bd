//! A transaction's access to its connection.
//!
//! [`Sql::prepare_cached`] caches the prepared statement. Each connection has a bounded cache that
//! evicts the least recently used statement, but every cached one costs memory in proportion to its
//! text. So a text never depends on the number of values: a list of values is bound as one JSON
//! text and read with `json_each`. In tests the texts are recorded, and a test counts them.

use std::ops::Deref;

use rusqlite::{CachedStatement, Connection, Statement};

/// The connection of a transaction, for `store` modules.
#[derive(Clone, Copy)]
pub struct Sql<'a> {
    pub(super) connection: &'a Connection,
    #[cfg(any(test, feature = "testing"))]
    pub(super) texts: &'a Texts,
}

impl<'a> Sql<'a> {
    /// A cached statement. Its text must be constant, or one of a few.
    pub fn prepare_cached(self, text: &str) -> rusqlite::Result<CachedStatement<'a>> {
        #[cfg(any(test, feature = "testing"))]
        self.texts.note(text);
        self.connection.prepare_cached(text)
    }

    /// A statement that is not cached.
    pub fn prepare(self, text: &str) -> rusqlite::Result<Statement<'a>> {
        self.connection.prepare(text)
    }
}

impl Deref for Sql<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// The texts of cached statements.
#[cfg(any(test, feature = "testing"))]
#[derive(Default)]
pub(super) struct Texts(std::sync::Mutex<std::collections::BTreeSet<String>>);

#[cfg(any(test, feature = "testing"))]
impl Texts {
    fn note(&self, text: &str) {
        let mut texts = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !texts.contains(text) {
            texts.insert(text.to_owned());
        }
    }

    pub(super) fn seen(&self) -> std::collections::BTreeSet<String> {
        let texts = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        texts.clone()
    }
}
