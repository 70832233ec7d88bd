//! Encoding, merging and reading of segments.

use std::collections::BTreeMap;

use proptest::prelude::*;

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
    let none = Tags::new();
    let entries: Vec<_> = (from..)
        .zip(messages)
        .enumerate()
        .map(|(n, (at, message))| Numbered {
            at,
            number: n % count,
            own: &none,
            message,
        })
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
fn tags_of_an_envelope_of_its_own_are_kept_and_merged() {
    let own = Tags::from([("method".to_owned(), "GET".to_owned())]);
    let timer = &all()[3];
    let envelope = |at, own| Numbered {
        at,
        number: 0,
        own,
        message: timer,
    };
    let none = Tags::new();
    let envelopes = [envelope(1, &own), envelope(2, &none)];
    let one = encode(&[shared("0")], &envelopes).expect("encodable");
    let one = one.expect("not empty");
    let merged = merge(&[one.clone(), encoded(9, &[line("b")], &[shared("0")])]);
    for segment in [one, merged.expect("mergeable").expect("not empty")] {
        let found = found(&segment, &Query::default());
        assert_eq!(found[0].tags["method"], "GET");
        assert_eq!(found[0].tags["instance_id"], "0");
        assert!(!found[1].tags.contains_key("method"));
    }
}

#[test]
fn segments_of_earlier_versions_are_read() {
    // One origin "0" without tags; one line "a" of stdout at the first time.
    let old = [FORMAT_WITHOUT_TAGS, 1, 1, b'0', 0, 1, 0, 0, 0, 1, b'a'];
    let mut found = Vec::new();
    select(&old, 7, &"s".into(), &Query::default(), &mut found).expect("readable");
    assert_eq!((found[0].timestamp, &*found[0].instance_id), (7, "0"));
    assert_eq!(found[0].message, log(b"a", LogStream::Out));
}

#[test]
fn invalid_bytes_are_rejected() {
    for body in [&b""[..], &[FORMAT], &[9, 0, 0], &[FORMAT, 0, 1, 0, 5, 0, 0]] {
        let result = select(body, 0, &"s".into(), &Query::default(), &mut Vec::new());
        assert!(result.is_err(), "{body:?}");
    }
}

fn messages() -> impl Strategy<Value = Message> {
    prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..60), any::<bool>()).prop_map(|(text, is_out)| {
            Message::Log {
                payload: text.into(),
                stream: if is_out {
                    LogStream::Out
                } else {
                    LogStream::Err
                },
            }
        }),
        (".{0,8}", any::<u64>(), any::<u64>()).prop_map(|(name, delta, total)| Message::Counter {
            name,
            delta,
            total
        }),
        (".{0,8}", any::<i64>(), any::<i64>()).prop_map(|(name, start, stop)| Message::Timer {
            name,
            start,
            stop
        }),
        (".{0,8}", ".{0,8}").prop_map(|(title, body)| Message::Event { title, body }),
        prop::collection::btree_map(".{0,8}", (".{0,4}", -1e9..1e9_f64), 1..4).prop_map(|gauges| {
            let value = |(unit, value): (String, f64)| GaugeValue { unit, value };
            let gauges = gauges.into_iter().map(|(name, one)| (name, value(one)));
            Message::Gauge(gauges.collect())
        }),
    ]
}

/// Messages with the time that passed before each.
fn records() -> impl Strategy<Value = Vec<(i64, Message)>> {
    prop::collection::vec((1_i64..1 << 40, messages()), 1..40)
}

proptest! {
    /// What was put in comes out, whole or between two times.
    #[test]
    fn any_envelopes_round_trip(first in -1_i64 << 60..1 << 60, records in records(), cut in any::<prop::sample::Index>()) {
        let shared = [shared("0"), shared("1"), shared("2")];
        let none = Tags::new();
        let mut at = first;
        let mut numbered = Vec::new();
        for (number, (after, message)) in records.iter().enumerate() {
            at += after;
            numbered.push(Numbered { at, number: number % 3, own: &none, message });
        }
        let segment = encode(&shared, &numbered).expect("encodable").expect("not empty");
        prop_assert_eq!((segment.last, segment.count), (at, records.len()));
        let everything = found(&segment, &Query::default());
        let same = everything.iter().zip(&numbered).all(|(found, put)| {
            found.timestamp == put.at
                && found.message == *put.message
                && found.instance_id == shared[put.number].instance_id
                && found.tags == shared[put.number].tags
        });
        prop_assert!(same && everything.len() == records.len());
        let border = numbered[cut.index(numbered.len())].at;
        let before = Query { end: border, limit: usize::MAX, ..Query::default() };
        let after = Query { start: border, limit: usize::MAX, ..Query::default() };
        let parts = [found(&segment, &before), found(&segment, &after)].concat();
        prop_assert_eq!(parts, everything);
    }

    /// Bytes that were damaged on the disk are refused, or read as something else; nothing panics.
    #[test]
    fn any_damage_is_survived(records in records(), at in any::<prop::sample::Index>(), byte in any::<u8>(), length in any::<prop::sample::Index>()) {
        let messages: Vec<Message> = records.into_iter().map(|(_, message)| message).collect();
        let segment = encoded(0, &messages, &[shared("0")]);
        let mut body = segment.body.to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let short = &body[..length.index(body.len() + 1)];
        for body in [&body[..], short] {
            drop(select(body, i64::MAX - 3, &"s".into(), &Query::default(), &mut Vec::new()));
        }
    }
}
