//! What the router tells of an exchange goes to the app's log: its access line as `[RTR/0]`, and how
//! long it took as an `http` timer.
//!
//! A timer is as large as its line, so their number is bounded: of the requests past [`MOST_TIMERS`] in
//! one second only lines and counts are kept.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use super::metrics::Measured;
use crate::logs::{LogStream, Logs, Tags};
use crate::router::{AccessLog, Finished};

/// Most timers of one second.
const MOST_TIMERS: u32 = 2000;

/// Writes lines and timers.
pub(super) struct RouterLog {
    logs: Logs,
    measured: Measured,
    timers: Budget,
}

impl RouterLog {
    pub(super) fn new(logs: Logs, measured: Measured) -> Self {
        Self {
            logs,
            measured,
            timers: Budget::default(),
        }
    }

    fn timer(&self, exchange: &Finished<'_>, process: Tags) {
        let mut own: Tags = { exchange.tags().into_iter() }
            .map(|(tag, value)| (tag.to_owned(), value))
            .collect();
        if let Some(endpoint) = exchange.endpoint {
            let guid = endpoint.instance_guid.to_string();
            own.insert("routing_instance_id".to_owned(), guid);
        }
        let index = exchange.endpoint.map_or(0, |endpoint| endpoint.index);
        let (start, stop) = exchange.times();
        self.logs
            .emitter(exchange.app_guid.as_str(), &index.to_string())
            .tagged(process)
            .tagged([("origin", "gorouter")])
            .timer("http", (start.as_nanos(), stop.as_nanos()), own);
    }
}

impl AccessLog for RouterLog {
    fn finished(&self, exchange: &Finished<'_>) {
        self.measured.request(exchange);
        let process = exchange.endpoint.map(|endpoint| {
            [
                ("process_id", endpoint.process_guid.to_string()),
                ("process_instance_id", endpoint.instance_guid.to_string()),
            ]
        });
        let process = process.into_iter().flatten();
        let process: Tags = process
            .map(|(tag, value)| (tag.to_owned(), value))
            .collect();
        self.logs
            .emitter(exchange.app_guid.as_str(), "0")
            .of_type("RTR")
            .tagged(process.clone())
            .line(LogStream::Out, exchange.line);
        if self.timers.take(exchange.times().1.as_seconds()) {
            self.timer(exchange, process);
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
}
