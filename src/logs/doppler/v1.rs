//! The messages of dropsonde v1 that older clients decode (proto2, package `events`).
//!
//! Field numbers are part of the protocol. The structs are written by hand, so that building needs
//! no protocol compiler.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Kind of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum EventType {
    HttpStartStop = 4,
    LogMessage = 5,
    ValueMetric = 6,
    CounterEvent = 7,
    Error = 8,
    ContainerMetric = 9,
}

/// One event.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(string, required, tag = "1")]
    pub(super) origin: String,
    #[prost(enumeration = "EventType", required, tag = "2")]
    pub(super) event_type: i32,
    #[prost(int64, optional, tag = "6")]
    pub(super) timestamp: Option<i64>,
    #[prost(message, optional, boxed, tag = "7")]
    pub(super) http_start_stop: Option<Box<HttpStartStop>>,
    #[prost(message, optional, tag = "8")]
    pub(super) log_message: Option<LogMessage>,
    #[prost(message, optional, tag = "9")]
    pub(super) value_metric: Option<ValueMetric>,
    #[prost(message, optional, tag = "10")]
    pub(super) counter_event: Option<CounterEvent>,
    #[prost(message, optional, tag = "12")]
    pub(super) container_metric: Option<ContainerMetric>,
    #[prost(string, optional, tag = "13")]
    pub(super) deployment: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub(super) job: Option<String>,
    #[prost(string, optional, tag = "15")]
    pub(super) index: Option<String>,
    #[prost(string, optional, tag = "16")]
    pub(super) ip: Option<String>,
    #[prost(btree_map = "string, string", tag = "17")]
    pub(super) tags: BTreeMap<String, String>,
}

/// The output of a line; other numbers than those of v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum MessageType {
    Out = 1,
    Err = 2,
}

/// A log line.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LogMessage {
    #[prost(bytes = "bytes", required, tag = "1")]
    pub(super) message: Bytes,
    #[prost(enumeration = "MessageType", required, tag = "2")]
    pub(super) message_type: i32,
    #[prost(int64, required, tag = "3")]
    pub(super) timestamp: i64,
    #[prost(string, optional, tag = "4")]
    pub(super) app_id: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) source_type: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub(super) source_instance: Option<String>,
}

/// One measurement.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ValueMetric {
    #[prost(string, required, tag = "1")]
    pub(super) name: String,
    #[prost(double, required, tag = "2")]
    pub(super) value: f64,
    #[prost(string, required, tag = "3")]
    pub(super) unit: String,
}

/// A counter that grew.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CounterEvent {
    #[prost(string, required, tag = "1")]
    pub(super) name: String,
    #[prost(uint64, required, tag = "2")]
    pub(super) delta: u64,
    #[prost(uint64, optional, tag = "3")]
    pub(super) total: Option<u64>,
}

/// What an instance uses.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerMetric {
    #[prost(string, required, tag = "1")]
    pub(super) application_id: String,
    #[prost(int32, required, tag = "2")]
    pub(super) instance_index: i32,
    #[prost(double, required, tag = "3")]
    pub(super) cpu_percentage: f64,
    #[prost(uint64, required, tag = "4")]
    pub(super) memory_bytes: u64,
    #[prost(uint64, required, tag = "5")]
    pub(super) disk_bytes: u64,
    #[prost(uint64, optional, tag = "6")]
    pub(super) memory_bytes_quota: Option<u64>,
    #[prost(uint64, optional, tag = "7")]
    pub(super) disk_bytes_quota: Option<u64>,
}

/// Whose side of a request was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum PeerType {
    Client = 1,
    Server = 2,
}

/// A request from its begin to its end.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpStartStop {
    #[prost(int64, required, tag = "1")]
    pub(super) start_timestamp: i64,
    #[prost(int64, required, tag = "2")]
    pub(super) stop_timestamp: i64,
    #[prost(message, required, tag = "3")]
    pub(super) request_id: Uuid,
    #[prost(enumeration = "PeerType", required, tag = "4")]
    pub(super) peer_type: i32,
    #[prost(int32, required, tag = "5")]
    pub(super) method: i32,
    #[prost(string, required, tag = "6")]
    pub(super) uri: String,
    #[prost(string, required, tag = "7")]
    pub(super) remote_address: String,
    #[prost(string, required, tag = "8")]
    pub(super) user_agent: String,
    #[prost(int32, required, tag = "9")]
    pub(super) status_code: i32,
    #[prost(int64, required, tag = "10")]
    pub(super) content_length: i64,
    #[prost(message, optional, tag = "12")]
    pub(super) application_id: Option<Uuid>,
    #[prost(int32, optional, tag = "13")]
    pub(super) instance_index: Option<i32>,
    #[prost(string, optional, tag = "14")]
    pub(super) instance_id: Option<String>,
    #[prost(string, repeated, tag = "15")]
    pub(super) forwarded: Vec<String>,
}

/// A UUID as two little-endian numbers.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Uuid {
    #[prost(uint64, required, tag = "1")]
    pub(super) low: u64,
    #[prost(uint64, required, tag = "2")]
    pub(super) high: u64,
}

impl From<uuid::Uuid> for Uuid {
    fn from(uuid: uuid::Uuid) -> Self {
        // The big-endian number's upper half is the first eight bytes.
        let (first, second) = uuid.as_u64_pair();
        Self {
            low: first.swap_bytes(),
            high: second.swap_bytes(),
        }
    }
}

/// The number of an HTTP method; GET for unknown ones.
pub(super) fn method(name: &str) -> i32 {
    const METHODS: [&str; 44] = [
        "GET",
        "POST",
        "PUT",
        "DELETE",
        "HEAD",
        "ACL",
        "BASELINE_CONTROL",
        "BIND",
        "CHECKIN",
        "CHECKOUT",
        "CONNECT",
        "COPY",
        "DEBUG",
        "LABEL",
        "LINK",
        "LOCK",
        "MERGE",
        "MKACTIVITY",
        "MKCALENDAR",
        "MKCOL",
        "MKREDIRECTREF",
        "MKWORKSPACE",
        "MOVE",
        "OPTIONS",
        "ORDERPATCH",
        "PATCH",
        "PRI",
        "PROPFIND",
        "PROPPATCH",
        "REBIND",
        "REPORT",
        "SEARCH",
        "SHOWMETHOD",
        "SPACEJUMP",
        "TEXTSEARCH",
        "TRACE",
        "TRACK",
        "UNBIND",
        "UNCHECKOUT",
        "UNLINK",
        "UNLOCK",
        "UPDATE",
        "UPDATEREDIRECTREF",
        "VERSION_CONTROL",
    ];
    let name = name.to_ascii_uppercase().replace('-', "_");
    let index = METHODS.iter().position(|one| *one == name).unwrap_or(0);
    i32::try_from(index + 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_their_numbers() {
        for (name, number) in [
            ("GET", 1),
            ("head", 5),
            ("CONNECT", 11),
            ("LOCK", 16),
            ("MKREDIRECTREF", 21),
            ("OPTIONS", 24),
            ("PATCH", 26),
            ("PROPFIND", 28),
            ("REPORT", 31),
            ("TRACE", 36),
            ("UNLINK", 40),
            ("VERSION-CONTROL", 44),
            ("BREW", 1),
        ] {
            assert_eq!(method(name), number, "{name}");
        }
    }

    #[test]
    fn uuids_are_two_little_endian_numbers() {
        let uuid: uuid::Uuid = "00112233-4455-6677-8899-aabbccddeeff"
            .parse()
            .expect("a UUID");
        let expected = Uuid {
            low: 0x7766_5544_3322_1100,
            high: 0xffee_ddcc_bbaa_9988,
        };
        assert_eq!(Uuid::from(uuid), expected);
    }
}
