//! One at a time works on an instance.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks by the guids of instances; those that nobody has are forgotten.
#[derive(Default)]
pub(super) struct Locks(Mutex<HashMap<String, Arc<AsyncMutex<()>>>>);

impl Locks {
    /// Waits for the others.
    pub(super) async fn lock(&self, guid: &str) -> OwnedMutexGuard<()> {
        self.of(guid).lock_owned().await
    }

    /// `None` while somebody else works on it.
    pub(super) fn try_lock(&self, guid: &str) -> Option<OwnedMutexGuard<()>> {
        self.of(guid).try_lock_owned().ok()
    }

    fn of(&self, guid: &str) -> Arc<AsyncMutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A lock that somebody has or waits for is referenced from there.
        all.retain(|name, lock| name == guid || Arc::strong_count(lock) > 1);
        all.entry(guid.to_owned()).or_default().clone()
    }
}
