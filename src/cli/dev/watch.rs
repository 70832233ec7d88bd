//! Tells that something below a folder changed.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Quiet time after which a save is complete: editors write, rename and delete in one go.
const QUIET: Duration = Duration::from_millis(25);
/// A folder that never becomes quiet is read all the same.
const LONGEST: Duration = Duration::from_millis(250);

/// A watched folder.
pub(super) struct Watch {
    _watcher: RecommendedWatcher,
    saves: Saves,
}

/// Events, put together into saves.
struct Saves {
    events: mpsc::Receiver<()>,
    /// When the save began that nobody was told of yet.
    first: Option<Instant>,
}

impl Watch {
    /// Watches a folder and all below it.
    pub(super) fn of(folder: &Path) -> anyhow::Result<Self> {
        // One pending event says all: the folder is listed again.
        let (sender, events) = mpsc::channel(1);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if !matches!(
                    event,
                    Ok(notify::Event {
                        kind: EventKind::Access(_),
                        ..
                    })
                ) {
                    sender.try_send(()).ok();
                }
            })?;
        watcher
            .watch(folder, RecursiveMode::Recursive)
            .with_context(|| format!("cannot watch {}", folder.display()))?;
        Ok(Self {
            _watcher: watcher,
            saves: Saves {
                events,
                first: None,
            },
        })
    }

    /// Waits for a change and until it is complete; returns when it was seen first.
    pub(super) async fn changed(&mut self) -> Instant {
        self.saves.next().await
    }
}

impl Saves {
    /// The next save. A wait that is given up loses nothing: the next one goes on with it.
    async fn next(&mut self) -> Instant {
        let first = match self.first {
            Some(first) => first,
            None => {
                if self.events.recv().await.is_none() {
                    std::future::pending::<()>().await;
                }
                *self.first.insert(Instant::now())
            }
        };
        while first.elapsed() < LONGEST && timeout(QUIET, self.events.recv()).await.is_ok() {}
        self.first = None;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_loses_no_save() {
        let (sender, events) = mpsc::channel(1);
        let mut saves = Saves {
            events,
            first: None,
        };
        let saved = Instant::now();
        sender.send(()).await.expect("sent");
        timeout(QUIET / 5, saves.next())
            .await
            .expect_err("not complete yet");
        assert_eq!(timeout(QUIET * 2, saves.next()).await, Ok(saved));
        timeout(QUIET * 2, saves.next())
            .await
            .expect_err("told once");
    }
}
