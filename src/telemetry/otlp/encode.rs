//! What is sent, in the messages of the protocol.

use std::collections::BTreeMap;

use super::wire::{
    Data, Gauge, KeyValue, LogRecord, LogsRequest, Metric, MetricsRequest, Number, Point, Resource,
    ResourceLogs, ResourceMetrics, Scope, ScopeLogs, ScopeMetrics, Sum, text,
};
use crate::logs::{Envelope, LogStream, Message};
use crate::telemetry::{Family, Kind};

/// Severity numbers of OpenTelemetry.
const INFO: i32 = 9;
const ERROR: i32 = 17;
const CUMULATIVE: i32 = 2;

fn attributes<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<KeyValue> {
    let all = all.into_iter().map(|(key, value)| KeyValue {
        key: key.to_owned(),
        value: Some(text(value)),
    });
    all.collect()
}

fn pairs(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

fn scope() -> Scope {
    Scope {
        name: "cflite".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The protocol has no times before 1970.
fn time(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0)
}

/// The body of an export of metrics; counters began at `start`.
pub(super) fn metrics(
    resource: &BTreeMap<String, String>,
    families: &[Family],
    (start, now): (i64, i64),
) -> MetricsRequest {
    let metrics = families
        .iter()
        .filter(|family| !family.samples.is_empty())
        .map(|family| metric(family, start, now));
    MetricsRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: attributes(pairs(resource)),
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: metrics.collect(),
            }],
        }],
    }
}

fn metric(family: &Family, start: i64, now: i64) -> Metric {
    let start = match family.kind {
        Kind::Counter => time(start),
        Kind::Gauge => 0,
    };
    let points = family
        .samples
        .iter()
        // JSON has no infinite numbers.
        .filter(|sample| sample.value.is_finite())
        .map(|sample| {
            let labels = sample.labels.iter();
            Point {
                start_time_unix_nano: start,
                time_unix_nano: time(now),
                value: Some(Number::AsDouble(sample.value)),
                attributes: attributes(labels.map(|(key, value)| (*key, value.as_str()))),
            }
        });
    let data_points = points.collect();
    Metric {
        name: family.name.to_owned(),
        description: family.help.to_owned(),
        data: Some(match family.kind {
            Kind::Gauge => Data::Gauge(Gauge { data_points }),
            Kind::Counter => Data::Sum(Sum {
                data_points,
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            }),
        }),
    }
}

/// The body of an export of lines; other envelopes are left out. Lines of one source share a
/// resource.
pub(super) fn logs(
    resource: &BTreeMap<String, String>,
    batches: &[(String, Vec<Envelope>)],
    now: i64,
) -> LogsRequest {
    let resources = batches.iter().map(|(source_id, envelopes)| {
        let own = [("cloudfoundry.source_id", source_id.as_str())];
        let records = envelopes.iter().filter_map(|one| record(one, now));
        ResourceLogs {
            resource: Some(Resource {
                attributes: attributes(pairs(resource).chain(own)),
            }),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: records.collect(),
            }],
        }
    });
    LogsRequest {
        resource_logs: resources.collect(),
    }
}

fn record(envelope: &Envelope, now: i64) -> Option<LogRecord> {
    let Message::Log { payload, stream } = &envelope.message else {
        return None;
    };
    let (severity_number, severity_text, name) = match stream {
        LogStream::Out => (INFO, "INFO", "stdout"),
        LogStream::Err => (ERROR, "ERROR", "stderr"),
    };
    let own = [("log.iostream", name)];
    Some(LogRecord {
        time_unix_nano: time(envelope.timestamp),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(text(String::from_utf8_lossy(payload))),
        attributes: attributes(pairs(&envelope.tags).chain(own)),
        observed_time_unix_nano: time(now),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prost::Message as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::logs::Tags;

    #[test]
    fn metrics_have_the_fields_of_the_protocol() {
        let mut requests = Family::counter("requests_total", "Requests.");
        requests.push(vec![("class", "2xx".to_owned())], 5.0);
        let families = [
            requests,
            Family::gauge("up", "Up.").with(f64::NAN).with(1.0),
            Family::gauge("none", "None."),
        ];
        let resource = BTreeMap::from([("service.name".to_owned(), "cflite".to_owned())]);
        let body = metrics(&resource, &families, (1, 2));
        let decoded = MetricsRequest::decode(&*body.encode_to_vec());
        assert_eq!(decoded.as_ref(), Ok(&body));
        let body: Value = serde_json::to_value(body).expect("JSON");
        let first = &body["resourceMetrics"][0];
        assert_eq!(
            first["resource"]["attributes"][0]["value"]["stringValue"],
            "cflite"
        );
        let all = first["scopeMetrics"][0]["metrics"]
            .as_array()
            .expect("a list");
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[0]["sum"],
            json!({
                "dataPoints": [{
                    "attributes": [{ "key": "class", "value": { "stringValue": "2xx" } }],
                    "timeUnixNano": "2",
                    "asDouble": 5.0,
                    "startTimeUnixNano": "1",
                }],
                "aggregationTemporality": 2,
                "isMonotonic": true,
            })
        );
        let points = all[1]["gauge"]["dataPoints"].as_array().expect("a list");
        assert_eq!(points.len(), 1);
    }

    #[test]
    fn lines_are_records_with_their_tags() {
        let envelope = |message| Envelope {
            timestamp: 7,
            source_id: "app".into(),
            instance_id: "0".into(),
            tags: Arc::new(Tags::from([("app_name".into(), "dora".into())])),
            message,
        };
        let line = envelope(Message::Log {
            payload: b"hi\xff"[..].into(),
            stream: LogStream::Err,
        });
        let other = envelope(Message::Event {
            title: "t".to_owned(),
            body: "b".to_owned(),
        });
        let body = logs(
            &BTreeMap::new(),
            &[("app".to_owned(), vec![line, other])],
            9,
        );
        let decoded = LogsRequest::decode(&*body.encode_to_vec());
        assert_eq!(decoded.as_ref(), Ok(&body));
        let body: Value = serde_json::to_value(body).expect("JSON");
        let source = &body["resourceLogs"][0];
        assert_eq!(
            source["resource"]["attributes"],
            json!([{ "key": "cloudfoundry.source_id", "value": { "stringValue": "app" } }])
        );
        assert_eq!(
            source["scopeLogs"][0]["logRecords"],
            json!([{
                "timeUnixNano": "7",
                "observedTimeUnixNano": "9",
                "severityNumber": 17,
                "severityText": "ERROR",
                "body": { "stringValue": "hi\u{fffd}" },
                "attributes": [
                    { "key": "app_name", "value": { "stringValue": "dora" } },
                    { "key": "log.iostream", "value": { "stringValue": "stderr" } },
                ],
            }])
        );
    }

    /// Bytes written down by hand from the numbers and types of the fields.
    #[test]
    fn protobuf_has_the_numbers_of_the_protocol() {
        let key_value = |key: &str, value: &str| -> Vec<u8> {
            let mut bytes = field(1, key.as_bytes());
            bytes.extend(field(2, &field(1, value.as_bytes())));
            bytes
        };
        let scope = [
            field(1, b"cflite"),
            field(2, env!("CARGO_PKG_VERSION").as_bytes()),
        ]
        .concat();
        let mut up = Family::gauge("up", "Up.");
        up.push(vec![("a", "b".to_owned())], 0.0);
        let point = [
            vec![3 << 3 | 1, 2, 0, 0, 0, 0, 0, 0, 0],
            vec![4 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0],
            field(7, &key_value("a", "b")),
        ]
        .concat();
        let metric = [
            field(1, b"up"),
            field(2, b"Up."),
            field(5, &field(1, &point)),
        ]
        .concat();
        let resource = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        let expected = [
            field(1, &field(1, &key_value("k", "v"))),
            field(2, &[field(1, &scope), field(2, &metric)].concat()),
        ]
        .concat();
        let sent = metrics(&resource, &[up], (1, 2)).encode_to_vec();
        assert_eq!(sent, field(1, &expected));

        let mut requests = Family::counter("n", "");
        requests.push(Vec::new(), 0.0);
        let sent = metrics(&BTreeMap::new(), &[requests], (1, 2)).encode_to_vec();
        let point = [
            vec![2 << 3 | 1, 1, 0, 0, 0, 0, 0, 0, 0],
            vec![3 << 3 | 1, 2, 0, 0, 0, 0, 0, 0, 0],
            vec![4 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let sum = [field(1, &point), vec![2 << 3, 2, 3 << 3, 1]].concat();
        let metric = [field(1, b"n"), field(7, &sum)].concat();
        assert!(sent.ends_with(&field(2, &metric)));
    }

    /// A field of a message, a text or bytes.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        assert!(length < 128, "one byte has the length");
        [&[number << 3 | 2, length], content].concat()
    }
}
