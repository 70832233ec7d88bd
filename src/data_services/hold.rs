//! Keeps everybody from changing the services for a while: while all of them are copied.
//!
//! Nor does cflite start a command in one of them then. Docker's runtime never ends the start of a command
//! whose container is frozen in that moment, and neither lets the container go on nor removes it.

use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, OwnedRwLockWriteGuard};

use super::{DataServices, Failure, Inner};
use crate::db::ReadTx;
use crate::docker::{Container, Freeze};

/// While it lives no operation changes a service, and neither the supervisor nor a measurement runs a
/// command in one.
pub struct Held {
    #[expect(dead_code, reason = "holds the locks")]
    locks: Vec<OwnedMutexGuard<()>>,
    #[expect(dead_code, reason = "holds the lock")]
    quiet: OwnedRwLockWriteGuard<()>,
}

impl DataServices {
    /// Waits for the operations that are carried out now, at most `limit`.
    pub async fn hold(&self, limit: Duration) -> Result<Held, Failure> {
        let inner = &*self.0;
        let store = inner.store.clone();
        let all = inner.db.read(move |tx: &ReadTx<'_>| store.all(tx)).await?;
        let held = async {
            let mut locks = Vec::with_capacity(all.len());
            for instance in &all {
                locks.push(inner.locks.lock(&instance.guid).await);
            }
            let quiet = inner.quiet.clone().write_owned().await;
            Held { locks, quiet }
        };
        tokio::time::timeout(limit, held).await.map_err(|_| {
            Failure::new(format!(
                "an operation on a data service did not end within {} s: try again when `cflite services \
                 list` shows none in progress",
                limit.as_secs()
            ))
        })
    }
}

impl Inner {
    /// The id of the running container of a service whose lock is held. If somebody froze it and did not
    /// live to end that, it goes on.
    pub(super) async fn awake(&self, guid: &str) -> Result<Option<String>, Failure> {
        let found = self.container(guid).await?;
        let Some(container) = found.filter(Container::is_running) else {
            return Ok(None);
        };
        if container.frozen {
            self.note(guid, "it was frozen, letting it go on").await?;
            self.engine.freeze(&container.id, Freeze::End).await?;
        }
        Ok(Some(container.id))
    }
}
