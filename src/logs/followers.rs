//! Who follows a source's log, and how far each has read: so that a client that stops reading when
//! something is over is told so only after it has read what was said until then.
//!
//! `cf push`, `cf restage` and `cf start` print the lines of staging while the build is `STAGING`.
//! Their reader asks about four times a second, ignores lines younger than two seconds (by its own
//! clock), asks next from the time behind the last line it took, and stops at once when the build is
//! over, without a last read. Builds are asked for when they are made and every three seconds then.
//! So a build that ends after one second would be over before its last lines are shown, and one that
//! is held back as `STAGING` until they are would be found over three seconds later.
//!
//! The rule with the least cost is therefore: a build is over when it is over, but the *answer* to
//! the one who asks for it waits until everybody who follows the app's log asks from behind the
//! build's last line ([`Logs::shown_to_followers`]). Who follows nothing never waits; nor does
//! anybody once the last line is older than [`SHOWN_AFTER`]. Timestamps stay true, and nothing of
//! this has to survive a restart: a reader is known again after its second question.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::envelope::Kinds;
use super::{Logs, Query};

/// After this time every reader had its chance to show a line: two seconds in which it ignores it,
/// a quarter of a second between questions, and some room.
const SHOWN_AFTER: Duration = Duration::from_secs(3);
/// Longest wait of all.
const LONGEST: Duration = Duration::from_secs(5);
/// Who asked nothing for so long has stopped.
const GONE_AFTER: Duration = Duration::from_secs(1);
/// How long a reader takes to print what it has taken.
const PRINTED_AFTER: Duration = Duration::from_millis(50);
/// Most readers of one source that are told apart.
const MOST_FOLLOWERS: usize = 64;
/// Most sources whose readers are known.
const MOST_SOURCES: usize = 4096;
/// How the last line is looked for: so many envelopes at once, and so often.
const PAGE: usize = 200;
const PAGES: usize = 20;

/// Everybody who follows something.
#[derive(Debug, Default)]
pub(super) struct Followers {
    by_source: Mutex<HashMap<String, Vec<Follower>>>,
    /// Changes with every question.
    asked: watch::Sender<()>,
}

#[derive(Debug)]
struct Follower {
    /// A client asks over one connection.
    connection: SocketAddr,
    /// It has everything before this time.
    start: i64,
    at: Instant,
    /// Whoever asks a single time does not follow.
    again: bool,
}

impl Followers {
    /// Takes down that somebody asked for what a source logged from `start` on.
    pub(super) fn note(&self, source_id: &str, connection: SocketAddr, start: i64) {
        let at = Instant::now();
        let mut sources = self.lock();
        if !sources.contains_key(source_id) {
            sources.retain(|_, followers| followers.iter().any(|one| one.is_there(at)));
            if sources.len() >= MOST_SOURCES {
                return;
            }
        }
        let followers = sources.entry(source_id.to_owned()).or_default();
        followers.retain(|one| one.is_there(at));
        if let Some(known) = followers.iter_mut().find(|f| f.connection == connection) {
            (known.start, known.at, known.again) = (start, at, true);
        } else if followers.len() < MOST_FOLLOWERS {
            followers.push(Follower {
                connection,
                start,
                at,
                again: false,
            });
        }
        drop(sources);
        self.asked.send_replace(());
    }

    /// Whether anybody follows a source who has not read everything up to and with `time`.
    fn any_behind(&self, source_id: &str, time: i64) -> bool {
        let at = Instant::now();
        let sources = self.lock();
        let followers = sources.get(source_id).into_iter().flatten();
        let mut behind = followers.filter(|one| one.again && one.is_there(at));
        behind.any(|one| one.start <= time)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Follower>>> {
        self.by_source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    fn is_there(&self, now: Instant) -> bool {
        now.duration_since(self.at) < GONE_AFTER
    }
}

impl Logs {
    /// Waits until those who follow a source have read the last line of `source_type` in a range of
    /// nanoseconds; not at all when nobody follows, and never longer than it is of use.
    pub async fn shown_to_followers(&self, source_id: &str, source_type: &str, when: Range<i64>) {
        let shown = self.shown(source_id, source_type, &when);
        // The clock may be set back, and the database may be slow.
        if tokio::time::timeout(LONGEST, shown).await.is_err() {
            tracing::debug!(
                source_id,
                "those who follow a log did not read to its end in time"
            );
        }
    }

    async fn shown(&self, source_id: &str, source_type: &str, when: &Range<i64>) {
        let mut asked = self.followers().asked.subscribe();
        let mut waited = false;
        loop {
            asked.mark_unchanged();
            if !self.followers().any_behind(source_id, i64::MAX - 1) {
                return;
            }
            // Lines that nobody could read yet count too.
            self.flush().await;
            let Some(last) = self.last_line(source_id, source_type, when).await else {
                return;
            };
            let age = u64::try_from(self.now_nanos().saturating_sub(last)).unwrap_or(0);
            let left = SHOWN_AFTER.saturating_sub(Duration::from_nanos(age));
            if left.is_zero() {
                return;
            }
            if !self.followers().any_behind(source_id, last) {
                if waited {
                    tokio::time::sleep(PRINTED_AFTER).await;
                }
                return;
            }
            waited = true;
            tokio::select! {
                _ = asked.changed() => {}
                () = tokio::time::sleep(left.min(GONE_AFTER / 4)) => {}
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
        /// With a line of staging, and one of the app's a second later.
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
            self.logs.followers().note("app", connection, start);
        }

        async fn shown(&self, when: Range<i64>) {
            self.logs.shown_to_followers("app", "STG", when).await;
        }
    }

    #[tokio::test]
    async fn nobody_waits_when_nobody_follows() {
        let store = Store::start().await;
        assert!(store.shown(ALL).now_or_never().is_some());
        // One question is no following.
        store.ask(1, 0);
        assert!(store.shown(ALL).now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_answer_waits_until_every_follower_has_read_on() {
        let store = Store::start().await;
        for port in [1, 1, 2, 2] {
            store.ask(port, NOW * 1000);
        }
        let mut shown = Box::pin(store.shown(ALL));
        let briefly = Duration::from_millis(20);
        assert!(tokio::time::timeout(briefly, &mut shown).await.is_err());
        store.ask(1, NOW * 1000 + 1);
        assert!(tokio::time::timeout(briefly, &mut shown).await.is_err());
        // A line that comes meanwhile is waited for too.
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
        store.clock.advance(SHOWN_AFTER);
        tokio::time::timeout(soon, store.shown(ALL))
            .await
            .expect("an old line");
    }

    #[tokio::test]
    async fn who_stops_asking_is_not_waited_for() {
        let store = Store::start().await;
        store.ask(1, 0);
        store.ask(1, 0);
        assert!(store.logs.followers().any_behind("app", NOW * 1000));
        // The clock of the lines stands still: only the reader's silence can end this.
        let soon = Duration::from_secs(10);
        tokio::time::timeout(soon, store.shown(ALL))
            .await
            .expect("an end");
        assert!(!store.logs.followers().any_behind("app", NOW * 1000));
    }

    #[test]
    fn readers_and_sources_are_bounded() {
        let followers = Followers::default();
        for port in 0..1000 {
            followers.note("app", ([127, 0, 0, 1], port).into(), 0);
        }
        assert_eq!(followers.lock()["app"].len(), MOST_FOLLOWERS);
        for n in 0..MOST_SOURCES + 10 {
            followers.note(&n.to_string(), ([127, 0, 0, 1], 1).into(), 0);
        }
        assert_eq!(followers.lock().len(), MOST_SOURCES);
    }
}
