//! What requests carry: asked for once by all that want the same, and again when it expired.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use tokio::sync::Mutex;

use super::token::Authorization;

/// The most repositories whose tokens are remembered.
const MOST: usize = 64;

/// An authorization, and how many came before it.
#[derive(Default)]
pub(super) struct Current {
    pub(super) number: u64,
    pub(super) authorization: Option<Authorization>,
}

/// Of all requests about one repository.
pub(super) type Shared = Arc<Mutex<Current>>;

/// The authorizations of those who have no credentials.
#[derive(Default)]
pub(super) struct Authorizations(std::sync::Mutex<VecDeque<(String, Shared)>>);

impl Authorizations {
    /// The one for a repository, given by its URL.
    pub(super) fn of(&self, repository: &str) -> Shared {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().position(|(name, _)| name == repository);
        let entry = match found.and_then(|at| known.remove(at)) {
            Some(entry) => entry,
            None => (repository.to_owned(), Shared::default()),
        };
        let shared = entry.1.clone();
        known.push_back(entry);
        if known.len() > MOST {
            known.pop_front();
        }
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_repositories_are_remembered() {
        let known = Authorizations::default();
        let first = known.of("first");
        for number in 0..MOST {
            known.of(&number.to_string());
            assert!(Arc::ptr_eq(&first, &known.of("first")));
        }
        for number in 0..MOST {
            known.of(&number.to_string());
        }
        assert!(!Arc::ptr_eq(&first, &known.of("first")));
    }
}
