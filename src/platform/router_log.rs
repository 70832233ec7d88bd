//! What the router tells of an exchange goes to the app's log: its access line as `[RTR/0]`, and how
//! long it took as an `http` timer.
//!
//! A timer is as large as its line, so their number is bounded: of the requests past [`MOST_TIMERS`] in
//! one second only lines and counts are kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::metrics::Measured;
use crate::base::guid::InstanceGuid;
use crate::logs::{Emitter, LogStream, Logs, Tags};
use crate::router::{AccessLog, Finished};

/// Most timers of one second.
const MOST_TIMERS: u32 = 2000;
/// Most instances whose emitters are kept; with more all are made anew.
const MOST_KNOWN: usize = 4096;

/// Writes lines and timers.
pub(super) struct RouterLog {
    logs: Logs,
    measured: Measured,
    timers: Budget,
    known: Known,
}

/// The emitters of one instance, and of requests to an app that none answered.
struct Emitters {
    lines: Emitter,
    timers: Emitter,
}

/// The emitters of instances. Envelopes of one emitter share their tags, which the log store tells by
/// their address.
#[derive(Default)]
struct Known(RwLock<HashMap<InstanceGuid, Arc<Emitters>>>);

impl Known {
    fn get(&self, guid: &InstanceGuid, make: impl FnOnce() -> Emitters) -> Arc<Emitters> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(guid) {
            return found.clone();
        }
        drop(known);
        let made = Arc::new(make());
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(guid.clone(), made.clone());
        made
    }
}

impl RouterLog {
    pub(super) fn new(logs: Logs, measured: Measured) -> Self {
        Self {
            logs,
            measured,
            timers: Budget::default(),
            known: Known::default(),
        }
    }

    fn emitters(&self, exchange: &Finished<'_>) -> Arc<Emitters> {
        let make = || {
            let process = exchange.endpoint.map(|endpoint| {
                [
                    ("process_id", endpoint.process_guid.to_string()),
                    ("process_instance_id", endpoint.instance_guid.to_string()),
                ]
            });
            let process: Vec<_> = process.into_iter().flatten().collect();
            let app = exchange.app_guid.as_str();
            let index = exchange.endpoint.map_or(0, |endpoint| endpoint.index);
            Emitters {
                lines: self
                    .logs
                    .emitter(app, "0")
                    .of_type("RTR")
                    .tagged(process.clone()),
                timers: self
                    .logs
                    .emitter(app, &index.to_string())
                    .tagged(process)
                    .tagged([("origin", "gorouter")]),
            }
        };
        match exchange.endpoint {
            // Endpoints of several apps may be without a guid.
            Some(endpoint) if !endpoint.instance_guid.as_str().is_empty() => {
                self.known.get(&endpoint.instance_guid, make)
            }
            _ => Arc::new(make()),
        }
    }
}

fn timer(exchange: &Finished<'_>, emitter: &Emitter) {
    let mut own: Tags = { exchange.tags().into_iter() }
        .map(|(tag, value)| (tag.to_owned(), value))
        .collect();
    if let Some(endpoint) = exchange.endpoint {
        let guid = endpoint.instance_guid.to_string();
        own.insert("routing_instance_id".to_owned(), guid);
    }
    let (start, stop) = exchange.times();
    emitter.timer("http", (start.as_nanos(), stop.as_nanos()), own);
}

impl AccessLog for RouterLog {
    fn finished(&self, exchange: &Finished<'_>) {
        self.measured.request(exchange);
        let emitters = self.emitters(exchange);
        emitters.lines.line(LogStream::Out, exchange.line);
        if self.timers.take(exchange.times().1.as_seconds()) {
            timer(exchange, &emitters.timers);
        }
    }
}

/// Counts what one second has taken. Threads that meet at the turn of a second may take a few more.
#[derive(Debug, Default)]
struct Budget {
    second: AtomicI64,
    taken: AtomicU32,
}

impl Budget {
    fn take(&self, second: i64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.taken.store(0, Ordering::Relaxed);
        }
        self.taken.fetch_add(1, Ordering::Relaxed) < MOST_TIMERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_timers() {
        let budget = Budget::default();
        let taken = |second| (0..5000).filter(|_| budget.take(second)).count();
        let most = usize::try_from(MOST_TIMERS).expect("small");
        assert_eq!((taken(7), taken(7), taken(8)), (most, 0, most));
    }

    #[tokio::test]
    async fn emitters_of_an_instance_are_kept_and_their_number_is_bounded() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = crate::db::Db::open(&dir.path().join("cflite.db")).expect("database");
        let clock = Arc::new(crate::base::SystemClock);
        let logs = Logs::open(db, clock).await.expect("logs");
        let make = || Emitters {
            lines: logs.emitter("app", "0"),
            timers: logs.emitter("app", "0"),
        };
        let known = Known::default();
        let guid = |number: usize| InstanceGuid::from(number.to_string());
        let first = known.get(&guid(0), make);
        assert!(Arc::ptr_eq(&first, &known.get(&guid(0), make)));
        for number in 1..=MOST_KNOWN {
            known.get(&guid(number), make);
        }
        assert!(!Arc::ptr_eq(&first, &known.get(&guid(0), make)));
        let kept = known.0.read().expect("not poisoned").len();
        assert!(kept <= MOST_KNOWN, "{kept}");
    }
}
