//! Tracks who follows a source's log and how far each reader is, so that a client that stops
//! reading when a build ends learns of the end only after it has read the build's last lines.
//!
//! `cf push`, `cf restage` and `cf start` print the lines of staging while the build is `STAGING`.
//! Their reader polls about four times a second, ignores lines younger than two seconds (by its own
//! clock), continues after the last line it got, and stops at once when the build ends, without a
//! last read. Builds are polled when they are created and then every three seconds. So a build that
//! ends after one second would end before its last lines are shown, and if it stayed `STAGING`
//! until then, its end would be noticed three seconds later.
//!
//! Therefore the build ends at once, but the *response* to a request for it is delayed until every
//! follower of the app's log has read past the build's last line ([`Logs::shown_to_followers`]).
//! Nothing waits without followers, or once the last line is older than [`DISPLAY_TIME`].
//! Timestamps stay true, and none of this state has to survive a restart: a reader is known again
//! after its second read.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::envelope::Kinds;
use super::{Logs, Query};

/// After this time every reader could show a line: it ignores the line for two seconds, polls every
/// quarter of a second, plus some slack.
const DISPLAY_TIME: Duration = Duration::from_secs(3);
/// The maximum wait.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// A reader without a read for this long has stopped.
const READER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a reader takes to print the lines it got.
const PRINT_TIME: Duration = Duration::from_millis(50);
/// The maximum number of readers tracked per source.
const MAX_FOLLOWERS: usize = 64;
/// The maximum number of tracked sources.
const MAX_SOURCES: usize = 4096;
/// Limits of the search for the last line: envelopes per page, and pages.
const PAGE: usize = 200;
const PAGES: usize = 20;

/// All followers.
#[derive(Debug, Default)]
pub(super) struct Followers {
    by_source: Mutex<HashMap<String, Vec<Follower>>>,
    /// Notified at every read.
    reads: watch::Sender<()>,
}

#[derive(Debug)]
struct Follower {
    /// The client's connection.
    connection: SocketAddr,
    /// It has read everything before this time.
    start: i64,
    at: Instant,
    /// A single read is not following.
    repeated: bool,
}

impl Followers {
    /// Records a read of a source from `start` on.
    pub(super) fn record_read(&self, source_id: &str, connection: SocketAddr, start: i64) {
        let at = Instant::now();
        let mut sources = self.lock();
        if !sources.contains_key(source_id) {
            sources.retain(|_, followers| followers.iter().any(|one| one.is_active(at)));
            if sources.len() >= MAX_SOURCES {
                return;
            }
        }
        let followers = sources.entry(source_id.to_owned()).or_default();
        followers.retain(|one| one.is_active(at));
        if let Some(known) = followers.iter_mut().find(|f| f.connection == connection) {
            (known.start, known.at, known.repeated) = (start, at, true);
        } else if followers.len() < MAX_FOLLOWERS {
            followers.push(Follower {
                connection,
                start,
                at,
                repeated: false,
            });
        }
        drop(sources);
        self.reads.send_replace(());
    }

    /// Whether a source has a follower that has not read everything up to and including `time`.
    fn any_behind(&self, source_id: &str, time: i64) -> bool {
        let at = Instant::now();
        let sources = self.lock();
        let followers = sources.get(source_id).into_iter().flatten();
        let mut behind = followers.filter(|one| one.repeated && one.is_active(at));
        behind.any(|one| one.start <= time)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Follower>>> {
        self.by_source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    fn is_active(&self, now: Instant) -> bool {
        now.duration_since(self.at) < READER_TIMEOUT
    }
}

impl Logs {
    /// Waits until all followers of a source have read the last line of `source_type` in a range of
    /// nanoseconds; returns at once without followers, and after `MAX_WAIT` at the latest.
    pub async fn shown_to_followers(&self, source_id: &str, source_type: &str, when: Range<i64>) {
        let shown = self.shown(source_id, source_type, &when);
        // The clock may be set back, and the database may be slow.
        if tokio::time::timeout(MAX_WAIT, shown).await.is_err() {
            tracing::debug!(source_id, "log followers did not read to the end in time");
        }
    }

    async fn shown(&self, source_id: &str, source_type: &str, when: &Range<i64>) {
        let mut reads = self.followers().reads.subscribe();
        let mut waited = false;
        loop {
            reads.mark_unchanged();
            if !self.followers().any_behind(source_id, i64::MAX - 1) {
                return;
            }
            // Lines that are not readable yet count, too.
            self.flush().await;
            let Some(last) = self.last_line(source_id, source_type, when).await else {
                return;
            };
            let age = u64::try_from(self.now_nanos().saturating_sub(last)).unwrap_or(0);
            let left = DISPLAY_TIME.saturating_sub(Duration::from_nanos(age));
            if left.is_zero() {
                return;
            }
            if !self.followers().any_behind(source_id, last) {
                if waited {
                    tokio::time::sleep(PRINT_TIME).await;
                }
                return;
            }
            waited = true;
            tokio::select! {
                _ = reads.changed() => {}
                () = tokio::time::sleep(left.min(READER_TIMEOUT / 4)) => {}
            }
        }
    }

    /// The time of the newest line of a type in a range.
    async fn last_line(
        &self,
        source_id: &str,
        source_type: &str,
        when: &Range<i64>,
    ) -> Option<i64> {
        let mut end = when.end;
        for _ in 0..PAGES {
            let query = Query {
                start: when.start,
                end,
                limit: PAGE,
                descending: true,
                kinds: Kinds::LOG,
                name: None,
            };
            let page = self.read(source_id, query).await.ok()?;
            let wanted = |tag: &String| tag == source_type;
            let found = page
                .iter()
                .find(|envelope| envelope.tags.get("source_type").is_some_and(wanted));
            if let Some(found) = found {
                return Some(found.timestamp);
            }
            end = page.last()?.timestamp;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
    use crate::base::{Clock, Supervisor};
    use crate::db::Db;
    use crate::logs::{Line, LogStream};

    const NOW: i64 = 1_700_000_000_000_000;
    const ALL: Range<i64> = 0..i64::MAX;

    struct Store {
        _dir: tempfile::TempDir,
        _supervisor: Supervisor,
        clock: ManualClock,
        logs: Logs,
    }

    impl Store {
        /// A store with a line of staging, and one of the app a second later.
        async fn start() -> Self {
            let dir = tempfile::tempdir().expect("temporary folder");
            let db = Db::open(&dir.path().join("cflite.db")).expect("database");
            let clock = ManualClock::new(Timestamp::from_micros(NOW));
            let shared: Arc<dyn Clock> = Arc::new(clock.clone());
            let logs = Logs::open(db, shared).await.expect("logs");
            let supervisor = Supervisor::new();
            logs.start(&supervisor);
            let store = Self {
                _dir: dir,
                _supervisor: supervisor,
                clock,
                logs,
            };
            store.line("STG", "Uploading complete");
            store.clock.advance(Duration::from_secs(1));
            store.line("APP/PROC/WEB", "hello");
            store.logs.flush().await;
            store
        }

        fn line(&self, source_type: &str, text: &str) {
            self.logs.emit(Line {
                source_id: "app",
                source_type,
                instance_id: "0",
                stream: LogStream::Out,
                text,
            });
        }

        fn ask(&self, port: u16, start: i64) {
            let connection = ([127, 0, 0, 1], port).into();
            self.logs.followers().record_read("app", connection, start);
        }

        async fn shown(&self, when: Range<i64>) {
            self.logs.shown_to_followers("app", "STG", when).await;
        }
    }

    #[tokio::test]
    async fn nothing_waits_without_followers() {
        let store = Store::start().await;
        assert!(store.shown(ALL).now_or_never().is_some());
        // One read is not following.
        store.ask(1, 0);
        assert!(store.shown(ALL).now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_response_waits_until_every_follower_has_read_on() {
        let store = Store::start().await;
        for port in [1, 1, 2, 2] {
            store.ask(port, NOW * 1000);
        }
        let mut shown = Box::pin(store.shown(ALL));
        let briefly = Duration::from_millis(20);
        assert!(tokio::time::timeout(briefly, &mut shown).await.is_err());
        store.ask(1, NOW * 1000 + 1);
        assert!(tokio::time::timeout(briefly, &mut shown).await.is_err());
        // A line that arrives meanwhile is waited for, too.
        store.line("STG", "destroyed");
        store.logs.flush().await;
        store.ask(2, NOW * 1000 + 1);
        store.ask(1, NOW * 1000 + 1);
        assert!(tokio::time::timeout(briefly, &mut shown).await.is_err());
        let behind = (NOW + 1_000_000) * 1000 + 2;
        store.ask(1, behind);
        store.ask(2, behind);
        let soon = Duration::from_secs(10);
        tokio::time::timeout(soon, shown).await.expect("an end");
    }

    #[tokio::test]
    async fn lines_outside_of_the_range_and_old_ones_are_not_waited_for() {
        let store = Store::start().await;
        store.ask(1, 0);
        store.ask(1, 0);
        let soon = Duration::from_secs(10);
        let later = NOW * 1000 + 1..i64::MAX;
        tokio::time::timeout(soon, store.shown(later))
            .await
            .expect("no such line");
        store.clock.advance(DISPLAY_TIME);
        tokio::time::timeout(soon, store.shown(ALL))
            .await
            .expect("an old line");
    }

    #[tokio::test]
    async fn a_stopped_reader_is_not_waited_for() {
        let store = Store::start().await;
        store.ask(1, 0);
        store.ask(1, 0);
        assert!(store.logs.followers().any_behind("app", NOW * 1000));
        // The manual clock stands still: only the reader's timeout can end the wait.
        let soon = Duration::from_secs(10);
        tokio::time::timeout(soon, store.shown(ALL))
            .await
            .expect("an end");
        assert!(!store.logs.followers().any_behind("app", NOW * 1000));
    }

    // While time stands still, no reader goes away.
    #[tokio::test(start_paused = true)]
    async fn readers_and_sources_are_bounded() {
        let followers = Followers::default();
        for port in 0..1000 {
            followers.record_read("app", ([127, 0, 0, 1], port).into(), 0);
        }
        assert_eq!(followers.lock()["app"].len(), MAX_FOLLOWERS);
        for n in 0..MAX_SOURCES + 10 {
            followers.record_read(&n.to_string(), ([127, 0, 0, 1], 1).into(), 0);
        }
        assert_eq!(followers.lock().len(), MAX_SOURCES);
    }
}
