//! The JSON of OTLP: lowerCamelCase names, 64-bit integers as text.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::logs::{Envelope, LogStream, Message};
use crate::telemetry::{Family, Kind};

/// Severity numbers of OpenTelemetry.
const INFO: u32 = 9;
const ERROR: u32 = 17;
const CUMULATIVE: u32 = 2;

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn attributes<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let all = all.into_iter();
    all.map(|(key, value)| attribute(key, value)).collect()
}

fn scope() -> Value {
    json!({ "name": "cflite", "version": env!("CARGO_PKG_VERSION") })
}

/// The body of an export of metrics; counters began at `start`.
pub(super) fn metrics(
    resource: &BTreeMap<String, String>,
    families: &[Family],
    (start, now): (i64, i64),
) -> Value {
    let resource = resource
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let metrics: Vec<Value> = { families.iter() }
        .filter(|family| !family.samples.is_empty())
        .map(|family| metric(family, start, now))
        .collect();
    json!({ "resourceMetrics": [{
        "resource": { "attributes": attributes(resource) },
        "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
    }] })
}

fn metric(family: &Family, start: i64, now: i64) -> Value {
    let points: Vec<Value> = { family.samples.iter() }
        // JSON has no infinite numbers.
        .filter(|sample| sample.value.is_finite())
        .map(|sample| {
            let labels = sample.labels.iter();
            let labels = labels.map(|(key, value)| (*key, value.as_str()));
            let mut point = json!({
                "attributes": attributes(labels),
                "timeUnixNano": now.to_string(),
                "asDouble": sample.value,
            });
            if family.kind == Kind::Counter {
                point["startTimeUnixNano"] = json!(start.to_string());
            }
            point
        })
        .collect();
    let mut metric = json!({ "name": family.name, "description": family.help });
    match family.kind {
        Kind::Gauge => metric["gauge"] = json!({ "dataPoints": points }),
        Kind::Counter => {
            metric["sum"] = json!({
                "dataPoints": points,
                "aggregationTemporality": CUMULATIVE,
                "isMonotonic": true,
            });
        }
    }
    metric
}

/// The body of an export of lines; other envelopes are left out. Lines of one source share a
/// resource.
pub(super) fn logs(
    resource: &BTreeMap<String, String>,
    batches: &[(String, Vec<Envelope>)],
    now: i64,
) -> Value {
    let resources: Vec<Value> = { batches.iter() }
        .map(|(source_id, envelopes)| {
            let common = resource
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()));
            let own = [("cloudfoundry.source_id", source_id.as_str())];
            let records: Vec<Value> = { envelopes.iter() }
                .filter_map(|envelope| record(envelope, now))
                .collect();
            json!({
                "resource": { "attributes": attributes(common.chain(own)) },
                "scopeLogs": [{ "scope": scope(), "logRecords": records }],
            })
        })
        .collect();
    json!({ "resourceLogs": resources })
}

fn record(envelope: &Envelope, now: i64) -> Option<Value> {
    let Message::Log { payload, stream } = &envelope.message else {
        return None;
    };
    let (number, text, name) = match stream {
        LogStream::Out => (INFO, "INFO", "stdout"),
        LogStream::Err => (ERROR, "ERROR", "stderr"),
    };
    let tags = envelope.tags.iter();
    let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
    Some(json!({
        "timeUnixNano": envelope.timestamp.to_string(),
        "observedTimeUnixNano": now.to_string(),
        "severityNumber": number,
        "severityText": text,
        "body": { "stringValue": String::from_utf8_lossy(payload) },
        "attributes": attributes(tags.chain([("log.iostream", name)])),
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
}
