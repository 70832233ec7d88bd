//! How far a drain got: in memory while it runs, and on disk about every second.
//!
//! A position is written after the receiver had the messages, so that a killed process sends some of
//! them twice and leaves none out.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::Key;

/// The progress of one drain. Times are nanoseconds since 1970.
#[derive(Debug)]
pub(super) struct Progress {
    /// Its row.
    pub(super) id: i64,
    /// Nothing before this time is for the drain.
    since: i64,
    /// Whether the drain is a new one.
    pub(super) is_new: bool,
    reached: Mutex<Reached>,
}

#[derive(Debug, Default)]
struct Reached {
    /// The time of the last envelope of each source that the receiver has.
    positions: HashMap<Arc<str>, i64>,
    /// Sources whose position is not on disk yet.
    unsaved: BTreeSet<Arc<str>>,
}

/// Positions to write.
pub(super) type Unsaved = Vec<(Arc<str>, i64)>;

impl Progress {
    pub(super) fn begun(id: i64, since: i64) -> Self {
        Self {
            id,
            since,
            is_new: true,
            reached: Mutex::default(),
        }
    }

    pub(super) fn known(id: i64, since: i64, positions: HashMap<Arc<str>, i64>) -> Self {
        let reached = Reached {
            positions,
            unsaved: BTreeSet::new(),
        };
        Self {
            id,
            since,
            is_new: false,
            reached: Mutex::new(reached),
        }
    }

    fn reached(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is later than this is still to be sent.
    pub(super) fn position(&self, source_id: &str) -> i64 {
        let reached = self.reached();
        let position = reached.positions.get(source_id).copied();
        position.unwrap_or(self.since.saturating_sub(1))
    }

    /// The receiver has everything up to these times.
    pub(super) fn advance(&self, to: impl IntoIterator<Item = (Arc<str>, i64)>) {
        let mut reached = self.reached();
        for (source_id, time) in to {
            reached.positions.insert(source_id.clone(), time);
            reached.unsaved.insert(source_id);
        }
    }

    /// What is to be written.
    pub(super) fn take_unsaved(&self) -> Unsaved {
        let mut reached = self.reached();
        let unsaved = std::mem::take(&mut reached.unsaved);
        let positions = unsaved.into_iter().filter_map(|source_id| {
            let position = reached.positions.get(&source_id).copied()?;
            Some((source_id, position))
        });
        positions.collect()
    }

    /// Writing failed: it is tried again with what comes until then.
    pub(super) fn put_back(&self, unsaved: &Unsaved) {
        let mut reached = self.reached();
        let sources = unsaved.iter().map(|(source_id, _)| source_id.clone());
        reached.unsaved.extend(sources);
    }

    /// Sources that are gone have no position.
    pub(super) fn forget(&self, gone: &[Arc<str>]) {
        let mut reached = self.reached();
        for source_id in gone {
            reached.positions.remove(source_id);
        }
    }
}

/// Names a drain without its secrets.
pub(super) fn digest((source_id, url, tls): &Key) -> String {
    let mut hasher = Sha256::new();
    let source_id = source_id.as_deref().unwrap_or_default();
    for part in [
        source_id,
        url.as_str(),
        tls.certificate.as_str(),
        tls.key.as_str(),
        tls.authority.as_str(),
    ] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::drains::Tls;

    #[test]
    fn drains_are_told_apart_by_everything_they_need() {
        let key = |source: Option<&str>, url: &str, certificate: &str| -> Key {
            let tls = Tls {
                certificate: certificate.to_owned(),
                ..Tls::default()
            };
            (source.map(Into::into), url.to_owned(), tls)
        };
        let all: BTreeSet<String> = [
            key(None, "syslog://a", ""),
            key(Some("app"), "syslog://a", ""),
            key(Some("app"), "syslog://b", ""),
            key(Some("app"), "syslog://a", "b"),
            key(Some("app"), "syslog://", "ab"),
        ]
        .iter()
        .map(digest)
        .collect();
        assert_eq!(all.len(), 5);
        assert!(all.iter().all(|digest| digest.len() == 64));
    }

    #[test]
    fn what_could_not_be_written_is_written_with_the_next_position() {
        let progress = Progress::begun(1, 10);
        assert_eq!(progress.position("a"), 9);
        progress.advance([("a".into(), 20), ("b".into(), 5)]);
        assert_eq!((progress.position("a"), progress.position("b")), (20, 5));
        let unsaved = progress.take_unsaved();
        assert_eq!(unsaved, [("a".into(), 20), ("b".into(), 5)]);
        assert!(progress.take_unsaved().is_empty());
        progress.put_back(&unsaved);
        progress.advance([("a".into(), 30)]);
        progress.forget(&["b".into()]);
        assert_eq!(progress.take_unsaved(), [("a".into(), 30)]);
    }
}
