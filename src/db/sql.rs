//! A connection as transactions hand it out.
//!
//! [`Sql::prepare_cached`] keeps the statement prepared for the next caller. Each connection keeps
//! only so many and evicts the least recently used, but every kept statement costs memory in
//! proportion to its text. So a text never depends on how many values a caller sends: a list of
//! values is bound as one JSON text and read with `json_each`. In tests the texts are recorded, and
//! a test counts them.

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
    /// A statement that stays prepared. Its text must be one of few.
    pub fn prepare_cached(self, text: &str) -> rusqlite::Result<CachedStatement<'a>> {
        #[cfg(any(test, feature = "testing"))]
        self.texts.note(text);
        self.connection.prepare_cached(text)
    }

    /// A statement that is used once.
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

/// The texts of statements that connections keep prepared.
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
