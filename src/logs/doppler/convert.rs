//! Envelopes of v2 as those of v1.

use std::sync::Arc;

use crate::logs::envelope::{Envelope, GaugeValue, LogStream, Message, Tags};
use crate::logs::live::{Item, Loss};
use crate::logs::warning;

use super::v1::{self, EventType};

/// Tags that are fields of their own in v1.
const FIELDS: [&str; 5] = ["origin", "deployment", "job", "index", "ip"];
/// The metrics of an instance, in the order of v1's fields.
const OF_CONTAINERS: [&str; 5] = ["cpu", "memory", "disk", "memory_quota", "disk_quota"];

/// What v1 makes of an item: nothing of events, an envelope for each metric of most gauges.
pub(super) fn envelopes(item: &Item, loss_source: &Arc<str>, now: i64) -> Vec<v1::Envelope> {
    match item {
        Item::Envelope(envelope) => of_envelope(envelope),
        Item::Lost(loss) => of_loss(*loss, loss_source, now),
    }
}

fn of_envelope(envelope: &Envelope) -> Vec<v1::Envelope> {
    match &envelope.message {
        Message::Log { payload, stream } => {
            let mut line = base(envelope, EventType::LogMessage);
            let message_type = match stream {
                LogStream::Out => v1::MessageType::Out,
                LogStream::Err => v1::MessageType::Err,
            };
            line.log_message = Some(v1::LogMessage {
                message: payload.clone(),
                message_type: message_type.into(),
                timestamp: envelope.timestamp,
                app_id: Some((*envelope.source_id).to_owned()),
                source_type: line.tags.remove("source_type"),
                source_instance: Some((*envelope.instance_id).to_owned()),
            });
            vec![line]
        }
        Message::Counter { name, delta, total } => {
            let mut counter = base(envelope, EventType::CounterEvent);
            counter.counter_event = Some(v1::CounterEvent {
                name: name.clone(),
                delta: *delta,
                total: Some(*total),
            });
            vec![counter]
        }
        Message::Gauge(metrics) => {
            if let Some(metric) = container_metric(envelope) {
                return vec![metric];
            }
            let values = metrics.iter().map(|(name, gauge)| {
                let mut value = base(envelope, EventType::ValueMetric);
                value.value_metric = Some(v1::ValueMetric {
                    name: name.clone(),
                    value: gauge.value,
                    unit: gauge.unit.clone(),
                });
                value
            });
            values.collect()
        }
        Message::Timer { start, stop, .. } => {
            let mut timer = base(envelope, EventType::HttpStartStop);
            let request = request(envelope, *start, *stop);
            timer.http_start_stop = Some(Box::new(request));
            vec![timer]
        }
        Message::Event { .. } => Vec::new(),
    }
}

/// The usage of an instance, if that is what a gauge is.
pub(super) fn container_metric(envelope: &Envelope) -> Option<v1::Envelope> {
    let Message::Gauge(metrics) = &envelope.message else {
        return None;
    };
    let set = |gauge: &&GaugeValue| !gauge.unit.is_empty() || gauge.value != 0.0;
    let mut values = [0.0; OF_CONTAINERS.len()];
    for (value, name) in values.iter_mut().zip(OF_CONTAINERS) {
        *value = metrics.get(name).filter(set)?.value;
    }
    let [cpu, memory, disk, memory_quota, disk_quota] = values;
    let mut metric = base(envelope, EventType::ContainerMetric);
    metric.container_metric = Some(v1::ContainerMetric {
        application_id: (*envelope.source_id).to_owned(),
        instance_index: envelope.instance_id.parse().unwrap_or(0),
        cpu_percentage: cpu,
        memory_bytes: whole(memory),
        disk_bytes: whole(disk),
        memory_bytes_quota: Some(whole(memory_quota)),
        disk_bytes_quota: Some(whole(disk_quota)),
    });
    Some(metric)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and NaN becomes 0"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

fn request(envelope: &Envelope, start: i64, stop: i64) -> v1::HttpStartStop {
    let tag = |name: &str| envelope.tags.get(name).map_or("", String::as_str);
    // The id is required, so a missing one is made up.
    let id = tag("request_id").parse();
    let id = id.unwrap_or_else(|_| uuid::Builder::from_random_bytes(rand::random()).into_uuid());
    let peer_type = match tag("peer_type").to_ascii_lowercase().as_str() {
        "server" => v1::PeerType::Server,
        _ => v1::PeerType::Client,
    };
    let forwarded = tag("forwarded").lines().filter(|line| !line.is_empty());
    v1::HttpStartStop {
        start_timestamp: start,
        stop_timestamp: stop,
        request_id: id.into(),
        peer_type: peer_type.into(),
        method: v1::method(tag("method")),
        uri: tag("uri").to_owned(),
        remote_address: tag("remote_address").to_owned(),
        user_agent: tag("user_agent").to_owned(),
        status_code: tag("status_code").parse().unwrap_or(0),
        content_length: tag("content_length").parse().unwrap_or(0),
        application_id: envelope.source_id.parse().ok().map(uuid::Uuid::into),
        instance_index: envelope.instance_id.parse().ok(),
        instance_id: envelope.tags.get("routing_instance_id").cloned(),
        forwarded: forwarded.map(str::to_owned).collect(),
    }
}

fn base(envelope: &Envelope, event_type: EventType) -> v1::Envelope {
    let mut tags: Tags = (*envelope.tags).clone();
    let [origin, deployment, job, index, ip] = FIELDS.map(|name| tags.remove(name));
    tags.insert("source_id".to_owned(), (*envelope.source_id).to_owned());
    tags.insert("instance_id".to_owned(), (*envelope.instance_id).to_owned());
    v1::Envelope {
        origin: origin.unwrap_or_default(),
        event_type: event_type.into(),
        timestamp: Some(envelope.timestamp),
        deployment,
        job,
        index,
        ip,
        tags,
        ..v1::Envelope::default()
    }
}

/// A line for people and a counter for programs.
fn of_loss(loss: Loss, source_id: &Arc<str>, now: i64) -> Vec<v1::Envelope> {
    let line = warning::lost(loss, source_id.clone(), "doppler", now);
    let counter = Envelope {
        message: Message::Counter {
            name: "TruncatingBuffer.DroppedMessages".to_owned(),
            delta: loss.since,
            total: loss.total,
        },
        ..line.clone()
    };
    let both = [line, counter];
    both.iter().flat_map(of_envelope).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use prost::Message as _;

    use super::*;

    const APP: &str = "00112233-4455-6677-8899-aabbccddeeff";

    fn envelope(tags: &[(&str, &str)], message: Message) -> Envelope {
        let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Envelope {
            timestamp: 7,
            source_id: APP.into(),
            instance_id: "2".into(),
            tags: Arc::new(tags.collect()),
            message,
        }
    }

    fn one(envelope: &Envelope) -> v1::Envelope {
        let mut all = of_envelope(envelope);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn tags(of: &v1::Envelope) -> Vec<(&str, &str)> {
        of.tags.iter().map(|(k, v)| (&**k, &**v)).collect()
    }

    #[test]
    fn a_line_keeps_its_bytes_and_moves_its_tags() {
        let line = Message::Log {
            payload: Bytes::from_static(b"hi\xff"),
            stream: LogStream::Err,
        };
        let line = envelope(
            &[
                ("origin", "rep"),
                ("index", "5"),
                ("source_type", "APP"),
                ("app_name", "web"),
            ],
            line,
        );
        let converted = one(&line);
        assert_eq!(converted.origin, "rep");
        assert_eq!(converted.index.as_deref(), Some("5"));
        let expected = [
            ("app_name", "web"),
            ("instance_id", "2"),
            ("source_id", APP),
        ];
        assert_eq!(tags(&converted), expected);
        let message = converted.log_message.clone().expect("a line");
        assert_eq!(&message.message[..], b"hi\xff");
        assert_eq!(message.message_type(), v1::MessageType::Err);
        assert_eq!(message.source_type.as_deref(), Some("APP"));
        assert_eq!(message.source_instance.as_deref(), Some("2"));
        assert_eq!(message.app_id.as_deref(), Some(APP));
        let bytes = converted.encode_to_vec();
        assert_eq!(
            v1::Envelope::decode(&bytes[..]).expect("decodable"),
            converted
        );
    }

    fn gauge(metrics: &[(&str, &str, f64)]) -> Message {
        let metrics = metrics.iter().map(|(name, unit, value)| {
            let (unit, value) = ((*unit).to_owned(), *value);
            ((*name).to_owned(), GaugeValue { unit, value })
        });
        Message::Gauge(metrics.collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn the_five_metrics_of_an_instance_are_one_event_and_others_one_each() {
        let usage = [
            ("cpu", "percentage", 12.5),
            ("memory", "bytes", 1e6),
            ("disk", "bytes", -1.0),
            ("memory_quota", "bytes", f64::NAN),
            ("disk_quota", "bytes", 4e9),
        ];
        let converted = one(&envelope(&[], gauge(&usage)));
        let expected = v1::ContainerMetric {
            application_id: APP.to_owned(),
            instance_index: 2,
            cpu_percentage: 12.5,
            memory_bytes: 1_000_000,
            disk_bytes: 0,
            memory_bytes_quota: Some(0),
            disk_bytes_quota: Some(4_000_000_000),
        };
        assert_eq!(converted.container_metric, Some(expected));
        let mut without_unit = usage;
        without_unit[0] = ("cpu", "", 0.0);
        let converted = of_envelope(&envelope(&[], gauge(&without_unit)));
        assert_eq!(converted.len(), 5);
        let first = converted[0].value_metric.clone().expect("a value");
        assert_eq!((first.name.as_str(), first.value), ("cpu", 0.0));
    }

    #[test]
    fn timers_become_requests_with_an_id() {
        let timer = || Message::Timer {
            name: "http".to_owned(),
            start: 1,
            stop: 2,
        };
        let full = envelope(
            &[
                ("request_id", "ffeeddcc-bbaa-9988-7766-554433221100"),
                ("peer_type", "Server"),
                ("method", "PATCH"),
                ("status_code", "418"),
                ("forwarded", "1.1.1.1\n2.2.2.2"),
            ],
            timer(),
        );
        let request = one(&full).http_start_stop.expect("a request");
        assert_eq!(request.request_id.low, 0x8899_aabb_ccdd_eeff);
        assert_eq!(request.peer_type(), v1::PeerType::Server);
        assert_eq!((request.method, request.status_code), (26, 418));
        assert_eq!(request.forwarded, ["1.1.1.1", "2.2.2.2"]);
        let application = request.application_id.expect("the app");
        assert_eq!(application.low, 0x7766_5544_3322_1100);
        let bare = one(&envelope(&[("request_id", "?")], timer())).http_start_stop;
        let bare = bare.expect("a request");
        assert_ne!((bare.request_id.low, bare.request_id.high), (0, 0));
        assert_eq!(bare.method, 1);
    }

    #[test]
    fn events_have_no_form_in_v1_and_losses_have_two() {
        let event = Message::Event {
            title: "t".to_owned(),
            body: "b".to_owned(),
        };
        assert!(of_envelope(&envelope(&[], event)).is_empty());
        let loss = Loss { since: 3, total: 9 };
        let both = envelopes(&Item::Lost(loss), &APP.into(), 1);
        let line = both[0].log_message.clone().expect("a line");
        assert_eq!(line.source_type.as_deref(), Some("LGR"));
        assert_eq!(
            line.message,
            "Log message output is too high. 3 messages dropped (Total 9 messages dropped) from \
             cflite to doppler."
        );
        let counter = both[1].counter_event.clone().expect("a counter");
        assert_eq!((counter.delta, counter.total), (3, Some(9)));
    }
}
