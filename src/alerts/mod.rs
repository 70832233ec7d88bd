//! Alerts: something needs a person, who is told by the log, a webhook, a mail or a command.
//!
//! An alert has a name. It is told once, then again every [`REPEATED`] while it is raised, and once more
//! when it is over; how often it was raised meanwhile goes with it. Raising never waits: a queue of
//! limited length feeds one worker, and each sink has a deadline. Open alerts are in memory, since what
//! is still wrong after a restart is raised again.

mod operator;
mod sink;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::base::{Clock, Live, Supervisor, Timestamp};

pub use sink::{Sink, SinkError};

/// How often an alert is told while it is raised.
pub const REPEATED: Duration = Duration::from_secs(3600);
/// Alerts that wait to be told.
const QUEUE: usize = 256;
/// Open alerts; more of them tell nobody more.
const MOST_OPEN: usize = 1000;

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It still works.
    Warning,
    /// Something does not work.
    Critical,
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Its name, the same whenever it is raised: `data-service/GUID/down`.
    pub id: String,
    /// How urgent it is.
    pub severity: Severity,
    /// Part of the platform: `data services`.
    pub source: &'static str,
    /// One line.
    pub summary: String,
    /// What is known, without secrets.
    pub detail: String,
}

/// What a sink is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// `raised` or `resolved`.
    pub state: State,
    /// When it was raised first.
    pub since: String,
    /// How often it was raised.
    pub count: u64,
}

/// Whether an alert holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does.
    Raised,
    /// It does not any more.
    Resolved,
}

struct Open {
    alert: Alert,
    since: Timestamp,
    told: Timestamp,
    count: u64,
}

/// The alerts of a platform; cheap to clone.
#[derive(Clone)]
pub struct Alerts(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    sinks: Live<Vec<Sink>>,
    open: Mutex<BTreeMap<String, Open>>,
    queue: mpsc::Sender<Told>,
    waiting: Mutex<Option<mpsc::Receiver<Told>>>,
}

impl Alerts {
    /// Alerts that are told to the log and to `sinks`.
    pub fn new(clock: Arc<dyn Clock>, sinks: Vec<Sink>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self(Arc::new(Inner {
            clock,
            sinks: Live::new(sinks),
            open: Mutex::default(),
            queue,
            waiting: Mutex::new(Some(waiting)),
        }))
    }

    /// Tells these instead, from the next alert on.
    pub fn set_sinks(&self, sinks: Vec<Sink>) {
        self.0.sinks.set(sinks);
    }

    /// Raises an alert, or notes that it still holds.
    pub fn raise(&self, alert: Alert) {
        let now = self.0.clock.now();
        let told = {
            let mut open = self.open();
            if open.len() >= MOST_OPEN && !open.contains_key(&alert.id) {
                return;
            }
            raised(&mut open, alert, now)
        };
        if let Some(told) = told {
            tracing::error!(alert = %told.alert.id, source = told.alert.source, detail = %told.alert.detail, "{}", told.alert.summary);
            self.tell(told);
        }
    }

    /// Says that an alert does not hold any more; nothing when it was not raised.
    pub fn resolve(&self, id: &str) {
        let Some(open) = self.open().remove(id) else {
            return;
        };
        tracing::info!(alert = id, "resolved: {}", open.alert.summary);
        self.tell(Told {
            state: State::Resolved,
            since: open.since.to_string(),
            count: open.count,
            alert: open.alert,
        });
    }

    /// The alerts that hold, by name.
    pub fn list(&self) -> Vec<Told> {
        let open = self.open();
        open.values()
            .map(|open| told(open, State::Raised))
            .collect()
    }

    /// Tells every sink something harmless and returns what each said.
    pub async fn test(&self) -> Vec<(String, Result<(), SinkError>)> {
        let alert = Alert {
            id: "test".to_owned(),
            severity: Severity::Warning,
            source: "cflite",
            summary: "This is a test of cflite's alerts.".to_owned(),
            detail: "Nothing is wrong.".to_owned(),
        };
        let told = Told {
            alert,
            state: State::Raised,
            since: self.0.clock.now().to_string(),
            count: 1,
        };
        let mut results = Vec::new();
        for sink in self.0.sinks.get().iter() {
            results.push((sink.name(), sink.tell(&told).await));
        }
        results
    }

    /// Starts telling.
    pub fn start(&self, supervisor: &Supervisor) {
        let this = self.clone();
        supervisor.worker("alerts", move |token| {
            let this = this.clone();
            async move {
                this.work(token).await;
                Ok::<_, std::convert::Infallible>(())
            }
        });
    }

    fn tell(&self, told: Told) {
        if self.0.sinks.get().is_empty() {
            return;
        }
        if self.0.queue.try_send(told).is_err() {
            tracing::warn!("too many alerts wait to be told; one is only in this log");
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self, token: CancellationToken) {
        let waiting = {
            let mut waiting = self
                .0
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            waiting.take()
        };
        let Some(mut waiting) = waiting else {
            return;
        };
        loop {
            let next = tokio::select! {
                () = token.cancelled() => break,
                next = waiting.recv() => next,
            };
            let Some(told) = next else { break };
            for sink in self.0.sinks.get().iter() {
                if let Err(error) = sink.tell(&told).await {
                    tracing::warn!(alert = %told.alert.id, sink = sink.name(), %error, "an alert was not told");
                }
            }
        }
        let mut slot = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Some(waiting);
    }
}

/// What is to be told of an alert that is raised: the first one, and one in a while.
fn raised(open: &mut BTreeMap<String, Open>, alert: Alert, now: Timestamp) -> Option<Told> {
    match open.get_mut(&alert.id) {
        Some(known) => {
            known.count += 1;
            known.alert = alert;
            let is_due = now.since(known.told) >= REPEATED;
            is_due.then(|| {
                known.told = now;
                told(known, State::Raised)
            })
        }
        None => {
            let id = alert.id.clone();
            let new = Open {
                alert,
                since: now,
                told: now,
                count: 1,
            };
            let first = told(&new, State::Raised);
            open.insert(id, new);
            Some(first)
        }
    }
}

fn told(open: &Open, state: State) -> Told {
    Told {
        alert: open.alert.clone(),
        state,
        since: open.since.to_string(),
        count: open.count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(id: &str) -> Alert {
        Alert {
            id: id.to_owned(),
            severity: Severity::Critical,
            source: "tests",
            summary: "down".to_owned(),
            detail: String::new(),
        }
    }

    #[test]
    fn an_alert_is_told_once_and_once_in_a_while() {
        let begin = Timestamp::from_micros(1_000_000_000);
        let mut open = BTreeMap::new();
        assert!(raised(&mut open, alert("a"), begin).is_some());
        let soon = begin.plus(Duration::from_secs(60));
        assert!(raised(&mut open, alert("a"), soon).is_none());
        assert!(raised(&mut open, alert("b"), soon).is_some());
        let again = raised(&mut open, alert("a"), begin.plus(REPEATED)).expect("told again");
        assert_eq!(again.count, 3);
        assert_eq!(again.since, begin.to_string());
        assert!(raised(&mut open, alert("a"), begin.plus(REPEATED)).is_none());
    }
}
