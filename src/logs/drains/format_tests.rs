//! Messages of RFC 5424, read by a parser of somebody else's.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::logs::envelope::{GaugeValue, Tags};

fn format() -> Format {
    Format {
        hostname: "acme.dev.web".to_owned(),
        metadata: true,
    }
}

fn envelope(tags: &[(&str, &str)], message: Message) -> Envelope {
    let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Envelope {
        timestamp: 1_767_323_045_123_450_999,
        source_id: "00112233-4455-6677-8899-aabbccddeeff".into(),
        instance_id: "0".into(),
        tags: Arc::new(tags.collect()),
        message,
    }
}

fn line(text: &[u8], stream: LogStream) -> Message {
    Message::Log {
        payload: Bytes::copy_from_slice(text),
        stream,
    }
}

fn texts(format: &Format, envelope: &Envelope) -> Vec<String> {
    let messages = format.messages(envelope).into_iter();
    messages
        .map(|message| String::from_utf8(message).expect("UTF-8"))
        .collect()
}

const HEAD: &str = "1 2026-01-02T03:04:05.12345+00:00";
const GUID: &str = "00112233-4455-6677-8899-aabbccddeeff";

#[test]
fn a_line_is_written_as_cloud_foundry_does() {
    let tags = [
        ("source_type", "APP/PROC/web"),
        ("organization_name", "My Org!"),
        ("space_name", "dev_1"),
        ("app_name", "shop-"),
        ("quoted", "a\"b\\c]d"),
    ];
    let out = envelope(&tags, line(b"hi\0 there", LogStream::Out));
    let expected = format!(
        "<14>{HEAD} My-Org.dev1.shop {GUID} [APP/PROC/WEB/0] - [tags@47450 app_name=\"shop-\" \
         organization_name=\"My Org!\" quoted=\"a\\\"b\\\\c\\]d\" source_type=\"APP/PROC/web\" \
         space_name=\"dev_1\"] hi there\n"
    );
    assert_eq!(texts(&format(), &out), [expected]);
    let mut bare = envelope(&[("source_type", "a b")], line(b"x\n", LogStream::Err));
    bare.instance_id = "".into();
    bare.timestamp = 1_767_323_045_000_000_000;
    let plain = Format {
        metadata: false,
        ..format()
    };
    let expected = format!("<11>1 2026-01-02T03:04:05+00:00 acme.dev.web {GUID} [A-B] - - x\n");
    assert_eq!(texts(&plain, &bare), [expected]);
}

#[test]
fn metrics_are_structured_data() {
    let gauge = |value: f64, unit: &str| GaugeValue {
        unit: unit.to_owned(),
        value,
    };
    let metrics = BTreeMap::from([
        ("cpu".to_owned(), gauge(0.25, "percentage")),
        ("memory".to_owned(), gauge(1024.0, "bytes")),
    ]);
    let counter = Message::Counter {
        name: "n".to_owned(),
        delta: 1,
        total: 2,
    };
    let timer = Message::Timer {
        name: "http".to_owned(),
        start: 1,
        stop: 2,
    };
    let event = Message::Event {
        title: "t".to_owned(),
        body: "b]".to_owned(),
    };
    let tags = "[tags@47450 a=\"b\"]";
    for (message, elements) in [
        (
            Message::Gauge(metrics),
            vec![
                "gauge@47450 name=\"cpu\" value=\"0.25\" unit=\"percentage\"",
                "gauge@47450 name=\"memory\" value=\"1024\" unit=\"bytes\"",
            ],
        ),
        (
            counter,
            vec!["counter@47450 name=\"n\" total=\"2\" delta=\"1\""],
        ),
        (
            timer,
            vec!["timer@47450 name=\"http\" start=\"1\" stop=\"2\""],
        ),
        (event, vec!["event@47450 title=\"t\" body=\"b\\]\""]),
    ] {
        let expected = elements
            .into_iter()
            .map(|element| format!("<14>{HEAD} acme.dev.web {GUID} [0] - [{element}]{tags} \n"));
        let expected: Vec<String> = expected.collect();
        assert_eq!(
            texts(&format(), &envelope(&[("a", "b")], message)),
            expected
        );
    }
}

#[test]
fn fields_have_their_limits() {
    let long = "x".repeat(400);
    let tags = [
        ("source_type", long.as_str()),
        ("organization_name", &long),
        ("space_name", "___"),
        ("app_name", &long),
    ];
    let mut one = envelope(&tags, line(b"", LogStream::Out));
    one.source_id = long.as_str().into();
    let text = texts(&format(), &one).remove(0);
    let fields: Vec<&str> = text.split(' ').collect();
    let label = "x".repeat(63);
    assert_eq!(fields[2], format!("{label}..{label}"));
    assert_eq!((fields[3].len(), fields[4].len()), (48, 128));
    assert_eq!(hostname(["", "_", "-"]), "-");
}

fn tags() -> impl Strategy<Value = Tags> {
    prop::collection::btree_map("\\PC{1,40}", "\\PC{0,40}", 0..5)
}

proptest! {
    /// Whatever tags and text are, the message is one that others can parse, with the same values.
    #[test]
    fn every_message_can_be_parsed(tags in tags(), source in "\\PC{0,200}", text in "\\PC{0,200}", time in 0_i64..4_000_000_000_000_000_000) {
        let mut one = envelope(&[], line(text.as_bytes(), LogStream::Out));
        let mut all = tags.clone();
        all.insert("source_type".to_owned(), source);
        one.tags = Arc::new(all.clone());
        one.timestamp = time;
        let written = texts(&format(), &one).remove(0);
        let parsed = syslog_rfc5424::parse_message(&written);
        let parsed = parsed.map_err(|error| TestCaseError::fail(format!("{error:?}: {written}")))?;
        prop_assert_eq!(parsed.hostname.as_deref(), Some("acme.dev.web"));
        prop_assert_eq!(parsed.appname.as_deref(), Some(GUID));
        prop_assert_eq!(parsed.timestamp, Some(time / 1_000_000_000));
        prop_assert_eq!(parsed.msg.trim_end_matches('\n'), text.trim_end_matches('\n'));
        let element = parsed.sd.find_sdid("tags@47450").expect("tags");
        for (name, value) in &all {
            let plain = name.len() <= 32 && name.chars().all(|c| c.is_ascii_graphic() && !"=]\"".contains(c));
            if plain {
                prop_assert_eq!(element.get(name), Some(value));
            }
        }
    }
}
