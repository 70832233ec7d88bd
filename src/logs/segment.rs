//! Segments: consecutive envelopes of one source in one compact block of bytes, the unit that is
//! kept in memory, written to SQLite and trimmed.
//!
//! Instance and tags are stored once for all envelopes that share them; times are offsets from the
//! first. A line has about ten bytes of overhead.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::envelope::{Envelope, GaugeValue, Kinds, LogStream, Message, Tags};
use super::query::Query;
use crate::db::DbError;

/// First byte of every encoded segment.
const FORMAT: u8 = 1;
/// A segment is closed when it holds this many envelopes …
pub(super) const MAX_ENVELOPES: usize = 1000;
/// … or this many bytes of text.
pub(super) const MAX_BYTES: usize = 128 * 1024;

/// Consecutive envelopes of one source, encoded.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) kinds: Kinds,
    pub(super) count: usize,
    pub(super) body: Arc<[u8]>,
}

/// Data shared by the envelopes of one instance and source type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) instance_id: Arc<str>,
    pub(super) tags: Arc<Tags>,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    origins: Vec<Origin<'a>>,
    records: Vec<Record<'a>>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Hash)]
struct Origin<'a> {
    instance_id: &'a str,
    #[serde(borrow)]
    tags: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    after: u64,
    origin: usize,
    #[serde(borrow)]
    body: Body<'a>,
}

#[derive(Serialize, Deserialize)]
enum Body<'a> {
    #[serde(serialize_with = "as_bytes")]
    Out(&'a [u8]),
    #[serde(serialize_with = "as_bytes")]
    Err(&'a [u8]),
    Counter(&'a str, u64, u64),
    #[serde(borrow)]
    Gauge(Vec<(&'a str, &'a str, f64)>),
    Timer(&'a str, i64, i64),
    Event(&'a str, &'a str),
}

/// A byte slice serializes element by element by default, which is slow.
fn as_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Encodes envelopes in order of time; their numbers are indexes into `shared`.
pub(super) fn encode(
    shared: &[Shared],
    envelopes: &[(i64, usize, &Message)],
) -> Result<Option<Segment>, DbError> {
    let (Some((first, ..)), Some((last, ..))) = (envelopes.first(), envelopes.last()) else {
        return Ok(None);
    };
    let mut wire = Wire {
        origins: shared.iter().map(Origin::of).collect(),
        records: Vec::with_capacity(envelopes.len()),
    };
    let mut kinds = Kinds::NONE;
    for (timestamp, origin, message) in envelopes {
        kinds = kinds.with(message.kind());
        wire.records.push(Record {
            after: timestamp.abs_diff(*first),
            origin: *origin,
            body: Body::of(message),
        });
    }
    pack(&wire, *first, *last, kinds).map(Some)
}

/// Merges segments, given in order of time, into one.
pub(super) fn merge(segments: &[Segment]) -> Result<Option<Segment>, DbError> {
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Ok(None);
    };
    let mut numbers: HashMap<Origin<'_>, usize> = HashMap::new();
    let mut merged = Wire {
        origins: Vec::new(),
        records: Vec::new(),
    };
    let mut kinds = Kinds::NONE;
    for segment in segments {
        kinds = kinds.with(segment.kinds);
        let wire = unpack(&segment.body)?;
        let mut translation = Vec::with_capacity(wire.origins.len());
        for origin in wire.origins {
            let next = merged.origins.len();
            let number = *numbers.entry(origin.clone()).or_insert(next);
            if number == next {
                merged.origins.push(origin);
            }
            translation.push(number);
        }
        let shift = segment.first.abs_diff(first.first);
        for mut record in wire.records {
            record.after += shift;
            record.origin = translation
                .get(record.origin)
                .copied()
                .ok_or_else(invalid)?;
            merged.records.push(record);
        }
    }
    pack(&merged, first.first, last.last, kinds).map(Some)
}

impl Segment {
    /// Whether it may have an envelope that matches the query.
    pub(super) fn intersects(&self, query: &Query) -> bool {
        self.first < query.end && self.last >= query.start && self.kinds.intersects(query.kinds)
    }

    /// Appends matching envelopes to `found` up to the query's limit.
    pub(super) fn select(
        &self,
        source_id: &Arc<str>,
        query: &Query,
        found: &mut Vec<Envelope>,
    ) -> Result<(), DbError> {
        select(&self.body, self.first, source_id, query, found)
    }
}

/// Like [`Segment::select`], from encoded bytes that start at time `first`.
pub(super) fn select(
    body: &[u8],
    first: i64,
    source_id: &Arc<str>,
    query: &Query,
    found: &mut Vec<Envelope>,
) -> Result<(), DbError> {
    let wire = unpack(body)?;
    let mut shared: Vec<Option<Shared>> = vec![None; wire.origins.len()];
    let count = wire.records.len();
    for step in 0..count {
        if found.len() >= query.limit {
            break;
        }
        let record = &wire.records[if query.descending {
            count - 1 - step
        } else {
            step
        }];
        let timestamp = first.saturating_add_unsigned(record.after);
        if timestamp < query.start || timestamp >= query.end {
            continue;
        }
        let Some(message) = record.body.matching(query) else {
            continue;
        };
        let origin = wire.origins.get(record.origin).ok_or_else(invalid)?;
        let common = shared[record.origin].get_or_insert_with(|| origin.to_shared());
        found.push(Envelope {
            timestamp,
            source_id: source_id.clone(),
            instance_id: common.instance_id.clone(),
            tags: common.tags.clone(),
            message,
        });
    }
    Ok(())
}

fn pack(wire: &Wire<'_>, first: i64, last: i64, kinds: Kinds) -> Result<Segment, DbError> {
    let body = postcard::to_extend(wire, vec![FORMAT]).map_err(|_| invalid())?;
    Ok(Segment {
        first,
        last,
        kinds,
        count: wire.records.len(),
        body: body.into(),
    })
}

fn unpack(body: &[u8]) -> Result<Wire<'_>, DbError> {
    match body.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|_| invalid()),
        _ => Err(invalid()),
    }
}

fn invalid() -> DbError {
    DbError::Inconsistent {
        what: "log_segments.body",
        value: "undecodable envelopes".to_owned(),
    }
}

impl<'a> Origin<'a> {
    fn of(shared: &'a Shared) -> Self {
        let tags = shared.tags.iter();
        Self {
            instance_id: &shared.instance_id,
            tags: tags.map(|(k, v)| (k.as_str(), v.as_str())).collect(),
        }
    }

    fn to_shared(&self) -> Shared {
        let tags = self.tags.iter();
        let tags = tags.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Shared {
            instance_id: self.instance_id.into(),
            tags: Arc::new(tags.collect()),
        }
    }
}

impl<'a> Body<'a> {
    fn of(message: &'a Message) -> Self {
        match message {
            Message::Log { payload, stream } => match stream {
                LogStream::Out => Self::Out(payload),
                LogStream::Err => Self::Err(payload),
            },
            Message::Counter { name, delta, total } => Self::Counter(name, *delta, *total),
            Message::Gauge(metrics) => Self::Gauge(
                metrics
                    .iter()
                    .map(|(name, gauge)| (name.as_str(), gauge.unit.as_str(), gauge.value))
                    .collect(),
            ),
            Message::Timer { name, start, stop } => Self::Timer(name, *start, *stop),
            Message::Event { title, body } => Self::Event(title, body),
        }
    }

    fn kind(&self) -> Kinds {
        match self {
            Self::Out(_) | Self::Err(_) => Kinds::LOG,
            Self::Counter(..) => Kinds::COUNTER,
            Self::Gauge(_) => Kinds::GAUGE,
            Self::Timer(..) => Kinds::TIMER,
            Self::Event(..) => Kinds::EVENT,
        }
    }

    /// The message if it matches the query. A name filter keeps messages with a matching name, and
    /// only the matching metrics of a gauge; lines and events have no name.
    fn matching(&self, query: &Query) -> Option<Message> {
        if !self.kind().intersects(query.kinds) {
            return None;
        }
        let named = |name: &str| {
            query
                .name
                .as_ref()
                .is_none_or(|name_filter| name_filter.is_match(name))
        };
        let message = match self {
            Self::Out(_) | Self::Err(_) | Self::Event(..) if query.name.is_some() => return None,
            Self::Out(payload) => log(payload, LogStream::Out),
            Self::Err(payload) => log(payload, LogStream::Err),
            Self::Event(title, body) => Message::Event {
                title: (*title).to_owned(),
                body: (*body).to_owned(),
            },
            Self::Counter(name, ..) | Self::Timer(name, ..) if !named(name) => return None,
            Self::Counter(name, delta, total) => Message::Counter {
                name: (*name).to_owned(),
                delta: *delta,
                total: *total,
            },
            Self::Timer(name, start, stop) => Message::Timer {
                name: (*name).to_owned(),
                start: *start,
                stop: *stop,
            },
            Self::Gauge(metrics) => {
                let wanted = metrics.iter().filter(|(name, ..)| named(name));
                let wanted = wanted.map(|(name, unit, value)| {
                    let unit = (*unit).to_owned();
                    (
                        (*name).to_owned(),
                        GaugeValue {
                            unit,
                            value: *value,
                        },
                    )
                });
                let wanted: std::collections::BTreeMap<_, _> = wanted.collect();
                if wanted.is_empty() && query.name.is_some() {
                    return None;
                }
                Message::Gauge(wanted)
            }
        };
        Some(message)
    }
}

fn log(payload: &[u8], stream: LogStream) -> Message {
    Message::Log {
        payload: payload.to_vec().into(),
        stream,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shared(instance: &str) -> Shared {
        Shared {
            instance_id: instance.into(),
            tags: Arc::new(Tags::from([("instance_id".into(), instance.into())])),
        }
    }

    fn line(text: &'static str) -> Message {
        Message::Log {
            payload: text.into(),
            stream: LogStream::Err,
        }
    }

    fn gauge(names: &[&str]) -> Message {
        let unit = "bytes".to_owned();
        Message::Gauge(
            names
                .iter()
                .map(|n| {
                    (
                        (*n).to_owned(),
                        GaugeValue {
                            unit: unit.clone(),
                            value: 1.5,
                        },
                    )
                })
                .collect::<BTreeMap<_, _>>(),
        )
    }

    fn all() -> Vec<Message> {
        vec![
            line("a"),
            gauge(&["cpu", "memory"]),
            Message::Counter {
                name: "rx_bytes".into(),
                delta: 3,
                total: u64::MAX,
            },
            Message::Timer {
                name: "http".into(),
                start: -1,
                stop: i64::MAX,
            },
            Message::Event {
                title: "t".into(),
                body: "b".into(),
            },
        ]
    }

    fn encoded(from: i64, messages: &[Message], shared: &[Shared]) -> Segment {
        let count = shared.len();
        let entries: Vec<_> = (from..)
            .zip(messages)
            .enumerate()
            .map(|(n, (at, message))| (at, n % count, message))
            .collect();
        encode(shared, &entries)
            .expect("encodable")
            .expect("not empty")
    }

    fn found(segment: &Segment, query: &Query) -> Vec<Envelope> {
        let mut found = Vec::new();
        segment
            .select(&"s".into(), query, &mut found)
            .expect("decodable");
        found
    }

    #[test]
    fn every_kind_round_trips() {
        let segment = encoded(-7, &all(), &[shared("0"), shared("1")]);
        assert_eq!((segment.first, segment.last, segment.count), (-7, -3, 5));
        let found = found(&segment, &Query::default());
        let messages: Vec<_> = found.iter().map(|e| e.message.clone()).collect();
        assert_eq!(messages, all());
        assert_eq!(found[1].timestamp, -6);
        assert_eq!(&*found[1].instance_id, "1");
        assert_eq!(found[4].tags["instance_id"], "0");
    }

    type Change = fn(&mut Query);

    #[test]
    fn queries_select_by_time_kind_name_order_and_limit() {
        let segment = encoded(10, &all(), &[shared("0")]);
        let with = |change: Change| {
            let mut query = Query::default();
            change(&mut query);
            query
        };
        let cases: [(Change, &[i64]); 6] = [
            (|q| (q.start, q.end) = (11, 13), &[11, 12]),
            (|q| (q.descending, q.limit) = (true, 2), &[14, 13]),
            (|q| q.kinds = Kinds::LOG.with(Kinds::EVENT), &[10, 14]),
            (
                |q| q.name = regex::Regex::new("^(mem|http)").ok(),
                &[11, 13],
            ),
            (|q| q.name = regex::Regex::new("nothing").ok(), &[]),
            (|q| q.limit = 0, &[]),
        ];
        for (change, expected) in cases {
            let query = with(change);
            let found = found(&segment, &query);
            let times: Vec<i64> = found.iter().map(|e| e.timestamp).collect();
            assert_eq!(times, expected, "{query:?}");
        }
        let named = with(|q| q.name = regex::Regex::new("mem").ok());
        assert_eq!(found(&segment, &named)[0].message, gauge(&["memory"]));
    }

    #[test]
    fn merged_segments_read_like_their_parts() {
        let parts = [
            encoded(100, &all(), &[shared("0"), shared("1")]),
            encoded(200, &[line("b")], &[shared("1")]),
            encoded(300, &[line("c"), line("d")], &[shared("2"), shared("0")]),
        ];
        let merged = merge(&parts).expect("mergeable").expect("not empty");
        let apart: Vec<_> = parts
            .iter()
            .flat_map(|p| found(p, &Query::default()))
            .collect();
        assert_eq!(found(&merged, &Query::default()), apart);
        assert_eq!((merged.first, merged.last, merged.count), (100, 301, 8));
    }

    #[test]
    fn invalid_bytes_are_rejected() {
        for body in [&b""[..], &[FORMAT], &[9, 0, 0], &[FORMAT, 0, 1, 0, 5, 0, 0]] {
            let result = select(body, 0, &"s".into(), &Query::default(), &mut Vec::new());
            assert!(result.is_err(), "{body:?}");
        }
    }
}
