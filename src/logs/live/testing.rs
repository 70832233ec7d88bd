//! Envelopes for tests.

use std::sync::Arc;

use bytes::Bytes;

use crate::logs::{Envelope, GaugeValue, LogStream, Message, Tags};

fn envelope(timestamp: i64, message: Message) -> Arc<Envelope> {
    Arc::new(Envelope {
        timestamp,
        source_id: "app".into(),
        instance_id: "0".into(),
        tags: Arc::new(Tags::new()),
        message,
    })
}

pub(crate) fn line(timestamp: i64, text: &str) -> Arc<Envelope> {
    let message = Message::Log {
        payload: Bytes::copy_from_slice(text.as_bytes()),
        stream: LogStream::Out,
    };
    envelope(timestamp, message)
}

pub(crate) fn counter(name: &str) -> Arc<Envelope> {
    let message = Message::Counter {
        name: name.to_owned(),
        delta: 1,
        total: 2,
    };
    envelope(1, message)
}

pub(crate) fn gauge(names: &[&str]) -> Arc<Envelope> {
    let metric = |name: &&str| {
        let unit = "bytes".to_owned();
        ((*name).to_owned(), GaugeValue { unit, value: 1.5 })
    };
    envelope(1, Message::Gauge(names.iter().map(metric).collect()))
}
