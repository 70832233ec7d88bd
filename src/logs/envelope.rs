//! The envelope: one log line, gauge, counter, timer or event with its time, its source and tags.
//!
//! Cloud Foundry's clients decode the JSON form strictly: exactly these keys, 64-bit integers as
//! strings, payloads in padded base64. An unknown key breaks `cf logs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

pub use crate::docker::LogStream;

/// Tags of an envelope by name.
pub type Tags = BTreeMap<String, String>;

/// One log line or measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Nanoseconds since 1970; unique and increasing within a source.
    pub timestamp: i64,
    /// An app's or a service instance's guid.
    pub source_id: Arc<str>,
    /// The index of the instance.
    pub instance_id: Arc<str>,
    /// Tags, `source_type` among them.
    pub tags: Arc<Tags>,
    /// Its content.
    pub message: Message,
}

/// The content of an envelope.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A line without its newline.
    Log {
        /// The bytes as they were written, UTF-8 or not.
        payload: Bytes,
        /// stdout or stderr.
        stream: LogStream,
    },
    /// A counter that grew.
    Counter {
        /// Name.
        name: String,
        /// The increment.
        delta: u64,
        /// The new total.
        total: u64,
    },
    /// Measurements taken at one moment.
    Gauge(BTreeMap<String, GaugeValue>),
    /// A duration.
    Timer {
        /// Name.
        name: String,
        /// Nanoseconds since 1970.
        start: i64,
        /// Nanoseconds since 1970.
        stop: i64,
    },
    /// An event.
    Event {
        /// Title.
        title: String,
        /// Body.
        body: String,
    },
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct GaugeValue {
    /// `bytes`, `percentage`, …
    pub unit: String,
    /// Value.
    pub value: f64,
}

/// A set of envelope kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Log lines.
    pub const LOG: Self = Self(1);
    /// Counters.
    pub const COUNTER: Self = Self(2);
    /// Gauges.
    pub const GAUGE: Self = Self(4);
    /// Timers.
    pub const TIMER: Self = Self(8);
    /// Events.
    pub const EVENT: Self = Self(16);
    /// Every kind.
    pub const ANY: Self = Self(31);

    /// The kinds of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets share a kind.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// As stored.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }
}

impl Message {
    /// Its kind.
    pub const fn kind(&self) -> Kinds {
        match self {
            Self::Log { .. } => Kinds::LOG,
            Self::Counter { .. } => Kinds::COUNTER,
            Self::Gauge(_) => Kinds::GAUGE,
            Self::Timer { .. } => Kinds::TIMER,
            Self::Event { .. } => Kinds::EVENT,
        }
    }

    /// A rough estimate of its memory use in the queue.
    pub(super) fn size_estimate(&self) -> usize {
        let text = match self {
            Self::Log { payload, .. } => payload.len(),
            Self::Counter { name, .. } | Self::Timer { name, .. } => name.len(),
            Self::Gauge(metrics) => metrics.len() * 64,
            Self::Event { title, body } => title.len() + body.len(),
        };
        text + 96
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Envelope", 6)?;
        json.serialize_field("timestamp", &Quoted(self.timestamp))?;
        json.serialize_field("source_id", &*self.source_id)?;
        json.serialize_field("instance_id", &*self.instance_id)?;
        json.serialize_field("deprecated_tags", &BTreeMap::<&str, &str>::new())?;
        json.serialize_field("tags", &*self.tags)?;
        let key = match self.message {
            Message::Log { .. } => "log",
            Message::Counter { .. } => "counter",
            Message::Gauge(_) => "gauge",
            Message::Timer { .. } => "timer",
            Message::Event { .. } => "event",
        };
        json.serialize_field(key, &self.message)?;
        json.end()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        match self {
            Self::Log { payload, stream } => {
                json.serialize_entry("payload", &STANDARD.encode(payload))?;
                let stream = match stream {
                    LogStream::Out => "OUT",
                    LogStream::Err => "ERR",
                };
                json.serialize_entry("type", stream)?;
            }
            Self::Counter { name, delta, total } => {
                json.serialize_entry("name", name)?;
                json.serialize_entry("delta", &Quoted(delta))?;
                json.serialize_entry("total", &Quoted(total))?;
            }
            Self::Gauge(metrics) => json.serialize_entry("metrics", metrics)?,
            Self::Timer { name, start, stop } => {
                json.serialize_entry("name", name)?;
                json.serialize_entry("start", &Quoted(start))?;
                json.serialize_entry("stop", &Quoted(stop))?;
            }
            Self::Event { title, body } => {
                json.serialize_entry("title", title)?;
                json.serialize_entry("body", body)?;
            }
        }
        json.end()
    }
}

impl Serialize for GaugeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("GaugeValue", 2)?;
        json.serialize_field("unit", &self.unit)?;
        json.serialize_field("value", &Double(self.value))?;
        json.end()
    }
}

/// A 64-bit integer as text, so that no client loses digits to floating point.
struct Quoted<T>(T);

impl<T: std::fmt::Display> Serialize for Quoted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A double in protobuf's JSON mapping: infinities and NaN are strings, and whole numbers have no
/// fraction.
struct Double(f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let value = self.0;
        if value.is_nan() {
            serializer.serialize_str("NaN")
        } else if value == f64::INFINITY {
            serializer.serialize_str("Infinity")
        } else if value == f64::NEG_INFINITY {
            serializer.serialize_str("-Infinity")
        } else if value.fract() == 0.0 && value.abs() < EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
            serializer.serialize_i64(value as i64)
        } else {
            serializer.serialize_f64(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(message: Message) -> Envelope {
        Envelope {
            timestamp: 1_700_000_000_123_456_789,
            source_id: "app".into(),
            instance_id: "0".into(),
            tags: Arc::new(Tags::from([("source_type".into(), "APP/PROC/WEB".into())])),
            message,
        }
    }

    fn line(payload: &'static [u8], stream: LogStream) -> Message {
        Message::Log {
            payload: Bytes::from_static(payload),
            stream,
        }
    }

    fn gauge(value: f64) -> Message {
        let unit = "percentage".to_owned();
        let metric = ("cpu".to_owned(), GaugeValue { unit, value });
        Message::Gauge(BTreeMap::from([metric]))
    }

    #[test]
    fn json_has_exactly_the_keys_that_strict_clients_know() {
        let head = r#"{"timestamp":"1700000000123456789","source_id":"app","instance_id":"0","deprecated_tags":{},"tags":{"source_type":"APP/PROC/WEB"},"#;
        let counter = Message::Counter {
            name: "n".into(),
            delta: 1,
            total: u64::MAX,
        };
        let timer = Message::Timer {
            name: "http".into(),
            start: 1,
            stop: 2,
        };
        let occasion = Message::Event {
            title: "t".into(),
            body: "b".into(),
        };
        let cases = [
            (
                line(b"hi\xff", LogStream::Out),
                r#""log":{"payload":"aGn/","type":"OUT"}"#,
            ),
            (
                line(b"e", LogStream::Err),
                r#""log":{"payload":"ZQ==","type":"ERR"}"#,
            ),
            (
                counter,
                r#""counter":{"name":"n","delta":"1","total":"18446744073709551615"}"#,
            ),
            (timer, r#""timer":{"name":"http","start":"1","stop":"2"}"#),
            (occasion, r#""event":{"title":"t","body":"b"}"#),
        ];
        for (message, tail) in cases {
            let json = serde_json::to_string(&envelope(message)).expect("serializable");
            assert_eq!(json, format!("{head}{tail}}}"));
        }
        let values = [
            (0.1234, "0.1234"),
            (-1.0, "-1"),
            (f64::NAN, r#""NaN""#),
            (f64::INFINITY, r#""Infinity""#),
        ];
        for (value, text) in values {
            let json = serde_json::to_string(&gauge(value)).expect("serializable");
            let expected =
                format!(r#"{{"metrics":{{"cpu":{{"unit":"percentage","value":{text}}}}}}}"#);
            assert_eq!(json, expected);
        }
    }
}
