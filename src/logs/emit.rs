//! How parts of the platform write: an [`Emitter`] stands for one source of envelopes, such as an
//! instance's metrics or a component of the platform. Nothing here blocks.
//!
//! A new source is one line: `logs.emitter(guid, "0").tagged(tags).gauges(metrics)`.

use std::sync::Arc;

use bytes::Bytes;

use super::envelope::{GaugeValue, LogStream, Message, Tags};
use super::inbox::{Entry, Origin};
use super::{Line, Logs, split};

/// One source of envelopes; cheap to clone.
#[derive(Clone)]
pub struct Emitter {
    logs: Logs,
    source_id: Arc<str>,
    origin: Arc<Origin>,
}

impl Logs {
    /// Logs a line.
    pub fn emit(&self, line: Line<'_>) {
        self.emitter(line.source_id, line.instance_id)
            .of_type(line.source_type)
            .line(line.stream, line.text);
    }

    /// A source: an app, a service instance or a component, and an index or number of its own.
    pub fn emitter(&self, source_id: &str, instance_id: &str) -> Emitter {
        Emitter {
            logs: self.clone(),
            source_id: source_id.into(),
            origin: Arc::new(Origin {
                instance_id: instance_id.into(),
                source_type: None,
                tags: Tags::new(),
            }),
        }
    }
}

impl Emitter {
    /// With a source type: `CELL`, `RTR`, …
    #[must_use]
    pub fn of_type(mut self, source_type: &str) -> Self {
        Arc::make_mut(&mut self.origin).source_type = Some(source_type.to_owned());
        self
    }

    /// With tags; those of the source's name, place and identity are added when it is stored.
    #[must_use]
    pub fn tagged<K: Into<String>, V: Into<String>>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let tags = tags
            .into_iter()
            .map(|(tag, value)| (tag.into(), value.into()));
        Arc::make_mut(&mut self.origin).tags.extend(tags);
        self
    }

    /// Writes a line; several lines become several envelopes.
    pub fn line(&self, stream: LogStream, text: &str) {
        for payload in split::lines(Bytes::copy_from_slice(text.as_bytes())) {
            self.message(Message::Log { payload, stream });
        }
    }

    /// Writes measurements (name, unit, value) taken together.
    pub fn gauges<'a>(&self, metrics: impl IntoIterator<Item = (&'a str, &'a str, f64)>) {
        let metrics = metrics.into_iter().map(|(name, unit, value)| {
            let unit = unit.to_owned();
            (name.to_owned(), GaugeValue { unit, value })
        });
        self.message(Message::Gauge(metrics.collect()));
    }

    /// Writes that a counter grew by `delta` to `total`.
    pub fn counter(&self, name: &str, delta: u64, total: u64) {
        let name = name.to_owned();
        self.message(Message::Counter { name, delta, total });
    }

    /// Writes a duration between two times in nanoseconds, with tags of its own. It is left out
    /// when so much is queued that lines could be lost.
    pub fn timer(&self, name: &str, (start, stop): (i64, i64), own: Tags) {
        let name = name.to_owned();
        let message = Message::Timer { name, start, stop };
        self.logs.inbox().offer_if_quiet(Entry {
            own,
            ..self.entry(message)
        });
    }

    /// Writes any message.
    pub fn message(&self, message: Message) {
        self.logs.inbox().offer(self.entry(message));
    }

    fn entry(&self, message: Message) -> Entry {
        Entry {
            source_id: self.source_id.clone(),
            at: self.logs.now_nanos(),
            origin: self.origin.clone(),
            own: Tags::new(),
            message,
        }
    }
}
