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
const FORMAT: u8 = 2;
/// First byte of those of earlier versions, whose records have no tags of their own.
const FORMAT_WITHOUT_TAGS: u8 = 1;
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
    /// Tags of this record alone.
    #[serde(borrow)]
    own: Vec<(&'a str, &'a str)>,
    body: Body<'a>,
}

#[derive(Deserialize)]
struct OldWire<'a> {
    #[serde(borrow)]
    origins: Vec<Origin<'a>>,
    records: Vec<OldRecord<'a>>,
}

#[derive(Deserialize)]
struct OldRecord<'a> {
    after: u64,
    origin: usize,
    #[serde(borrow)]
    body: Body<'a>,
}

impl<'a> From<OldWire<'a>> for Wire<'a> {
    fn from(old: OldWire<'a>) -> Self {
        let records = old.records.into_iter().map(|record| Record {
            after: record.after,
            origin: record.origin,
            own: Vec::new(),
            body: record.body,
        });
        Self {
            origins: old.origins,
            records: records.collect(),
        }
    }
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

/// An envelope to encode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered<'a> {
    pub(super) at: i64,
    /// Index of what it shares with others.
    pub(super) number: usize,
    /// Tags of its own.
    pub(super) own: &'a Tags,
    pub(super) message: &'a Message,
}

/// Encodes envelopes in order of time; their numbers are indexes into `shared`.
pub(super) fn encode(
    shared: &[Shared],
    envelopes: &[Numbered<'_>],
) -> Result<Option<Segment>, DbError> {
    let (Some(first), Some(last)) = (envelopes.first(), envelopes.last()) else {
        return Ok(None);
    };
    let mut wire = Wire {
        origins: shared.iter().map(Origin::of).collect(),
        records: Vec::with_capacity(envelopes.len()),
    };
    let mut kinds = Kinds::NONE;
    for envelope in envelopes {
        kinds = kinds.with(envelope.message.kind());
        let own = envelope.own.iter();
        wire.records.push(Record {
            after: envelope.at.abs_diff(first.at),
            origin: envelope.number,
            own: own.map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            body: Body::of(envelope.message),
        });
    }
    pack(&wire, first.at, last.at, kinds).map(Some)
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
            tags: with_own(&common.tags, &record.own),
            message,
        });
    }
    Ok(())
}

fn with_own(common: &Arc<Tags>, own: &[(&str, &str)]) -> Arc<Tags> {
    let mut tags = common.clone();
    if !own.is_empty() {
        let own = own.iter();
        let own = own.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Arc::make_mut(&mut tags).extend(own);
    }
    tags
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
        Some((&FORMAT_WITHOUT_TAGS, rest)) => {
            let old: Result<OldWire<'_>, _> = postcard::from_bytes(rest);
            old.map(Wire::from).map_err(|_| invalid())
        }
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
#[path = "segment_tests.rs"]
mod tests;
