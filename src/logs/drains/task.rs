//! One drain: takes from its queue, formats, and delivers until the receiver has it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Part};
use super::format::Format;
use super::https::{HttpsSink, MAX_BATCH};
use super::progress::Progress;
use super::target::{Target, Transport, showable};
use super::tcp::TcpSink;
use super::{Drain, Settings, report, resolve, tls};
use crate::base::{Backoff, Timestamp};
use crate::logs::Logs;
use crate::logs::live::{Item, Loss, Selection, Subscription, Wanted};

const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_secs(15),
};
/// Items formatted at once; the rest waits in the queue, which is bounded.
const BATCH: usize = 100;
/// How long the messages of a request are collected, unless there are enough before.
const BATCH_TIME: Duration = Duration::from_secs(1);
/// A receiver that fails is reported at most so often: a report is a message of the app itself, so
/// that otherwise each failure could lead to the next.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Delivers until it is aborted, or `ending` is cancelled: then what is being sent is sent to its end.
pub(super) async fn run(
    logs: Logs,
    drain: Drain,
    settings: Settings,
    (progress, ending): (Arc<Progress>, CancellationToken),
) {
    let target = match Target::parse(&drain.url) {
        Ok(target) => target,
        Err(text) => {
            report(&logs, drain.source_id.as_ref(), &text);
            // The URL is as it is until the binding goes.
            return ending.cancelled().await;
        }
    };
    let selection = match &drain.source_id {
        Some(source_id) => Selection::of_source(source_id),
        None => Selection::everything(),
    };
    let kinds = target.options.kinds;
    let wanted = Wanted {
        name: "syslog drain",
        selection: selection.only(kinds),
        shard: None,
        is_client: false,
    };
    let Ok(subscription) = logs.subscribe(wanted) else {
        return;
    };
    let mut delivery = Delivery {
        format: Format {
            hostname: drain.hostname.clone(),
            metadata: target.options.metadata,
        },
        backlog: Backlog::new(drain.source_id.clone(), kinds),
        progress,
        sending: HashMap::new(),
        logs,
        drain,
        settings,
        target,
        subscription,
        tls: None,
        sink: None,
        failure_told: None,
        loss_told: None,
        ending,
    };
    delivery.run().await;
}

/// A drain in progress.
struct Delivery {
    logs: Logs,
    drain: Drain,
    settings: Settings,
    target: Target,
    format: Format,
    /// What was stored before the subscription.
    backlog: Backlog,
    subscription: Subscription,
    progress: Arc<Progress>,
    /// How far the receiver has the log of each source once it has the messages at hand.
    sending: HashMap<Arc<str>, i64>,
    /// Made when it is first needed.
    tls: Option<Arc<ClientConfig>>,
    sink: Option<Sink>,
    /// When a failure was reported last.
    failure_told: Option<Instant>,
    /// When a loss during failures was reported last.
    loss_told: Option<Instant>,
    /// Cancelled when the platform ends.
    ending: CancellationToken,
}

enum Sink {
    Tcp(Box<TcpSink>),
    Https(HttpsSink),
}

impl Delivery {
    async fn run(&mut self) {
        let ending = self.ending.clone();
        while let Some(Some(items)) = ending.run_until_cancelled(self.next()).await {
            let mut messages = VecDeque::new();
            self.format(items, &mut messages);
            if self.target.transport == Transport::HttpsBatch {
                self.collect(&mut messages).await;
            }
            if !self.deliver(&mut messages).await {
                return;
            }
            self.progress.advance(self.sending.drain());
        }
    }

    /// The next items, from the store at first.
    async fn next(&mut self) -> Option<Vec<Item>> {
        match self.stored().await {
            Some(Part::Items(items)) => return Some(items),
            Some(Part::Gap {
                source_id,
                from,
                until,
            }) => {
                self.report_gap(&source_id, from, until);
                return Some(Vec::new());
            }
            None => {}
        }
        let mut items = self.subscription.next(BATCH).await?;
        items.retain(|item| match item {
            Item::Envelope(envelope) => !self.backlog.has_read(envelope),
            Item::Lost(_) => true,
        });
        Some(items)
    }

    /// The next part from the store; one that cannot be read is tried again.
    async fn stored(&mut self) -> Option<Part> {
        let mut pauses = PAUSES.pauses();
        loop {
            let (live, progress) = (&self.subscription, &self.progress);
            match self.backlog.next(&self.logs, live, progress).await {
                Ok(part) => return part,
                Err(error) => {
                    let source_id = self.drain.source_id.as_deref();
                    tracing::error!(source_id, %error, "cannot read stored log lines for a drain; trying again");
                    tokio::time::sleep(pauses.pause()).await;
                }
            }
        }
    }

    /// Adds messages until there are enough for a request, or its time has passed.
    async fn collect(&mut self, messages: &mut VecDeque<Vec<u8>>) {
        let until = Instant::now() + BATCH_TIME;
        let mut bytes: usize = messages.iter().map(Vec::len).sum();
        while bytes < MAX_BATCH && Instant::now() < until {
            let ending = self.ending.clone();
            let more = timeout_at(until, ending.run_until_cancelled(self.next())).await;
            let Ok(Some(Some(items))) = more else { return };
            let before = messages.len();
            self.format(items, messages);
            bytes += messages.iter().skip(before).map(Vec::len).sum::<usize>();
        }
    }

    fn format(&mut self, items: Vec<Item>, messages: &mut VecDeque<Vec<u8>>) {
        for item in items {
            match item {
                Item::Envelope(envelope) => {
                    if self.target.options.admit(&envelope) {
                        messages.extend(self.format.messages(&envelope));
                    }
                    // Its source is mostly that of the one before.
                    match self.sending.get_mut(&envelope.source_id) {
                        Some(time) => *time = envelope.timestamp,
                        None => {
                            let source_id = envelope.source_id.clone();
                            self.sending.insert(source_id, envelope.timestamp);
                        }
                    }
                }
                Item::Lost(loss) => self.report_loss(loss),
            }
        }
    }

    /// Tries until everything is delivered; false when that failed and the platform ends.
    async fn deliver(&mut self, messages: &mut VecDeque<Vec<u8>>) -> bool {
        let mut pauses = PAUSES.pauses();
        while !messages.is_empty() {
            let before = messages.len();
            let Err(error) = self.attempt(messages).await else {
                return true;
            };
            if messages.len() < before {
                // A part was delivered.
                pauses.reset();
            }
            let now = Instant::now();
            if is_due(self.failure_told, now) {
                self.failure_told = Some(now);
                report(&self.logs, self.drain.source_id.as_ref(), &error);
            }
            let pause = tokio::time::sleep(pauses.pause());
            if self.ending.run_until_cancelled(pause).await.is_none() {
                return false;
            }
            let now = Instant::now();
            // Until then the store has what the queue loses, and the loss leads to another round.
            if self.backlog.is_over()
                && is_due(self.loss_told, now)
                && let Some(loss) = self.subscription.take_loss()
            {
                self.loss_told = Some(now);
                self.report_loss(loss);
            }
        }
        true
    }

    async fn attempt(&mut self, messages: &mut VecDeque<Vec<u8>>) -> Result<(), String> {
        let sink = match self.sink.take() {
            Some(Sink::Tcp(mut tcp)) => (!tcp.is_closed()).then_some(Sink::Tcp(tcp)),
            other => other,
        };
        let mut sink = match sink {
            Some(sink) => sink,
            None => self.open().await?,
        };
        match &mut sink {
            Sink::Tcp(tcp) => {
                let sent = tcp.send(messages).await;
                sent.map_err(|error| format!("Failed to write to {}: {error}", self.target.shown))?;
            }
            Sink::Https(https) => https.send(&self.target, messages).await?,
        }
        // After a failure the address is looked up again.
        self.sink = Some(sink);
        Ok(())
    }

    async fn open(&mut self) -> Result<Sink, String> {
        let target = &self.target;
        let addresses = resolve::addresses(target, &self.settings).await?;
        let tls = match (target.transport, &self.tls) {
            (Transport::Tcp, _) => None,
            (_, Some(tls)) => Some(tls.clone()),
            (_, None) => {
                let made = tls::config(&self.drain.tls, &self.settings, &target.shown).await?;
                self.tls = Some(made.clone());
                Some(made)
            }
        };
        match (target.transport, tls) {
            (Transport::Https | Transport::HttpsBatch, Some(tls)) => {
                let sink = HttpsSink::new(target, &addresses, &tls, &self.settings)?;
                Ok(Sink::Https(sink))
            }
            (_, tls) => {
                let mut tcp = TcpSink::new(tls);
                tcp.connect(target, &addresses).await?;
                Ok(Sink::Tcp(Box::new(tcp)))
            }
        }
    }

    /// The drain was away for longer than the store keeps lines. The last one that the receiver has may
    /// be the last one that the store dropped, so this is no certain loss.
    fn report_gap(&self, source_id: &str, from: i64, until: i64) {
        let time = |nanos: i64| Timestamp::from_micros(nanos / 1000);
        let text = format!(
            "Messages between {} and {} may be lost for application {source_id} in {}syslog drain with url {}",
            time(from),
            time(until),
            if self.drain.source_id.is_some() {
                "user provided "
            } else {
                ""
            },
            showable(&self.drain.url)
        );
        report(&self.logs, self.drain.source_id.as_ref(), &text);
    }

    fn report_loss(&self, loss: Loss) {
        let of = match &self.drain.source_id {
            Some(source_id) => format!("application {source_id} in user provided"),
            None => "all applications in".to_owned(),
        };
        let text = format!(
            "{} messages lost for {of} syslog drain with url {}",
            loss.since,
            showable(&self.drain.url)
        );
        report(&self.logs, self.drain.source_id.as_ref(), &text);
    }
}

/// Whether something that was told at `last` may be told again.
fn is_due(last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= REPORT_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_is_told_once_a_minute() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert!(is_due(None, now));
        assert!(!is_due(Some(now), now));
        assert!(!is_due(Some(now), now + REPORT_EVERY - second));
        assert!(is_due(Some(now), now + REPORT_EVERY));
    }
}
