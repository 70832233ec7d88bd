//! Parsing, evaluation and rendering together.

use std::sync::Arc;

use super::*;
use crate::logs::envelope::{Envelope, GaugeValue, Message, Tags};

const SECOND: i64 = 1_000_000_000;
/// Seconds since 1970.
pub(super) const T: i64 = 1_700_000_000;

fn envelope(second: i64, instance: &str, message: Message) -> Envelope {
    Envelope {
        timestamp: (T + second) * SECOND + 5,
        source_id: "app".into(),
        instance_id: instance.into(),
        tags: Arc::new(Tags::from([("process_type".into(), "web".into())])),
        message,
    }
}

fn gauge(second: i64, instance: &str, metrics: &[(&str, f64)]) -> Envelope {
    let metrics = metrics.iter().map(|(name, value)| {
        let unit = "bytes".to_owned();
        (
            (*name).to_owned(),
            GaugeValue {
                unit,
                value: *value,
            },
        )
    });
    envelope(second, instance, Message::Gauge(metrics.collect()))
}

fn counter(second: i64, total: u64) -> Envelope {
    let name = "http.requests".to_owned();
    let message = Message::Counter {
        name,
        delta: 0,
        total,
    };
    envelope(second, "0", message)
}

/// Two instances whose memory grows, and a counter that begins again once.
fn envelopes() -> Vec<Envelope> {
    let mut all = Vec::new();
    for step in 0..21_u8 {
        let (at, value) = (i64::from(step) * 15, f64::from(step));
        all.push(gauge(at, "0", &[("memory", value), ("memory_quota", 40.0)]));
        all.push(gauge(
            at,
            "1",
            &[("memory", value * 2.0), ("memory_quota", 40.0)],
        ));
        let total = u64::from(if step < 10 { step } else { step - 10 }) * 30;
        all.push(counter(at, total));
    }
    all
}

fn collected(query: &Query, envelopes: &[Envelope]) -> Result<Collected, Fault> {
    let mut collector = Collector::default();
    for selector in &query.selectors {
        let mut selected = collector.begin();
        selected.add(selector, envelopes)?;
        selected.end();
    }
    Ok(collector.finish())
}

pub(super) fn answer(text: &str, instants: Instants) -> Result<Answer, Fault> {
    let query = parse(text)?;
    let data = collected(&query, &envelopes())?;
    evaluate(&query, &data, instants, &|| false)
}

/// The values of an answer after five minutes, by instance.
fn values(text: &str) -> Vec<(String, f64)> {
    let at = Instants::At((T + 300) * 1000);
    match answer(text, at).unwrap_or_else(|fault| panic!("{text}: {fault:?}")) {
        Answer::Scalar(point) => vec![(String::new(), point.value)],
        Answer::Vector(_, samples) => samples
            .into_iter()
            .map(|sample| {
                let instance = sample.labels.get("instance_id");
                (instance.cloned().unwrap_or_default(), sample.value)
            })
            .collect(),
        Answer::Matrix(all) => panic!("{text}: {all:?}"),
    }
}

/// Values by instance.
type Values = &'static [(&'static str, f64)];

/// Expressions and their values after five minutes.
const EXPRESSIONS: [(&str, Values); 26] = [
    (r#"memory{source_id="app"}"#, &[("0", 20.0), ("1", 40.0)]),
    (r#"memory{source_id="app",instance_id="1"}"#, &[("1", 40.0)]),
    (
        r#"memory{source_id="app",instance_id!="1"}"#,
        &[("0", 20.0)],
    ),
    (
        r#"memory{source_id="app",instance_id=~"[1-9]"}"#,
        &[("1", 40.0)],
    ),
    (
        r#"memory{source_id="app",missing=""}"#,
        &[("0", 20.0), ("1", 40.0)],
    ),
    (
        r#"{__name__="memory",source_id=~"app|other",instance_id="0"}"#,
        &[("0", 20.0)],
    ),
    (r#"nothing{source_id="app"}"#, &[]),
    (
        r#"memory{source_id="app"} offset 1m"#,
        &[("0", 16.0), ("1", 32.0)],
    ),
    (r#"sum(memory{source_id="app"})"#, &[("", 60.0)]),
    (
        r#"avg by (process_type) (memory{source_id="app"})"#,
        &[("", 30.0)],
    ),
    (
        r#"max without (instance_id) (memory{source_id="app"})"#,
        &[("", 40.0)],
    ),
    (
        r#"min(memory{source_id="app"}) by (instance_id)"#,
        &[("0", 20.0), ("1", 40.0)],
    ),
    (r#"count(memory{source_id="app"})"#, &[("", 2.0)]),
    (
        r#"avg_over_time(memory{source_id="app",instance_id="0"}[1m])"#,
        &[("0", 18.5)],
    ),
    (
        r#"sum_over_time(memory{source_id="app",instance_id="0"}[1m])"#,
        &[("0", 74.0)],
    ),
    (
        r#"max_over_time(memory{source_id="app",instance_id="0"}[1m] offset 1m)"#,
        &[("0", 16.0)],
    ),
    (
        r#"min_over_time(memory{source_id="app",instance_id="0"}[1m])"#,
        &[("0", 17.0)],
    ),
    (
        r#"count_over_time(memory{source_id="app",instance_id="0"}[1m])"#,
        &[("0", 4.0)],
    ),
    // Three intervals of 15 s with 30 each, extended to the whole minute.
    (
        r#"increase(http_requests{source_id="app"}[1m])"#,
        &[("0", 120.0)],
    ),
    (r#"rate(http_requests{source_id="app"}[1m])"#, &[("0", 2.0)]),
    (
        r#"memory{source_id="app"} / memory_quota{source_id="app"} * 100"#,
        &[("0", 50.0), ("1", 100.0)],
    ),
    (r#"memory{source_id="app"} > 30"#, &[("1", 40.0)]),
    (r#"30 < memory{source_id="app"}"#, &[("1", 40.0)]),
    (
        r#"memory{source_id="app"} > bool 30"#,
        &[("0", 0.0), ("1", 1.0)],
    ),
    (
        r#"-memory{source_id="app",instance_id="0"} % 7"#,
        &[("0", -6.0)],
    ),
    (
        r#"memory{source_id="app"} + on (instance_id) memory{source_id="app"} ^ 2"#,
        &[("0", 420.0), ("1", 1640.0)],
    ),
];

#[test]
fn expressions_have_the_values_of_prometheus() {
    for (text, expected) in EXPRESSIONS {
        let found = values(text);
        let found: Vec<(&str, f64)> = found.iter().map(|(i, v)| (i.as_str(), *v)).collect();
        let near = found.iter().zip(expected);
        let near = near.filter(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9);
        assert_eq!(near.count(), expected.len(), "{text}: {found:?}");
        assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
    }
}

#[test]
fn a_counter_that_began_again_still_grew() {
    let found = values(r#"increase(http_requests{source_id="app"}[5m])"#);
    // 540 between the first and the last of 20 samples, extended by the 15 s before the first.
    let expected = 540.0 * 300.0 / 285.0;
    assert!((found[0].1 - expected).abs() < 1e-9, "{found:?}");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let table = [
        ("", "no expression found in input"),
        ("memory", "query does not request any source_ids"),
        (
            r#"{source_id="app"}"#,
            "a selector needs the name of a metric",
        ),
        (
            r#"memory{source_id!="app"}"#,
            "a negative matcher of source_id",
        ),
        (
            r#"topk(1, memory{source_id="app"})"#,
            "the aggregation topk",
        ),
        (
            r#"histogram_quantile(0.9, memory{source_id="app"})"#,
            "the function histogram_quantile",
        ),
        (
            r#"memory{source_id="app"} and memory{source_id="app"}"#,
            "the operator and",
        ),
        (r#"memory{source_id="app"} @ 5"#, "the modifier @"),
        (
            r#"max_over_time(memory{source_id="app"}[5m:1m])"#,
            "a subquery",
        ),
        (
            r#"memory{source_id="app"} * on (a) group_left memory{source_id="app"}"#,
            "the modifier group_left",
        ),
    ];
    for (text, expected) in table {
        let Err(Fault::BadData(fault)) = parse(text) else {
            panic!("{text} is accepted");
        };
        assert!(fault.contains(expected), "{text}: {fault}");
    }
    let deep = format!("{}1{}", "(".repeat(200), ")".repeat(200));
    let long = format!(r#"memory{{source_id="{}"}}"#, "a".repeat(5000));
    let signs = format!("{}1", "-".repeat(300));
    for text in [deep, long, signs] {
        assert!(matches!(parse(&text), Err(Fault::BadData(_))));
    }
}

#[test]
fn ambiguous_matches_are_an_error() {
    let text = r#"memory{source_id="app"} + on (process_type) memory{source_id="app"}"#;
    let at = Instants::At((T + 300) * 1000);
    assert!(matches!(answer(text, at), Err(Fault::Internal(fault)) if fault.contains("duplicate")));
}

#[test]
fn ranges_have_a_point_for_each_step() {
    let from = T * 1000;
    let instants = Instants::every(from, from + 60_000, 30_000).expect("allowed");
    let found = answer(r#"memory{source_id="app",instance_id="0"}"#, instants).expect("an answer");
    assert_eq!(
        render(&found),
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance_id":"0","process_type":"web","source_id":"app"},"values":[[1700000000.000,"0"],[1700000030.000,"2"],[1700000060.000,"4"]]}]}}"#
    );
    for (from, to, step) in [(0, 10, 0), (0, 10, -1), (10, 0, 1), (0, MAX_STEPS, 1)] {
        assert!(
            Instants::every(from, to, step).is_err(),
            "{from} {to} {step}"
        );
    }
    assert!(Instants::every(0, MAX_STEPS - 1, 1).is_ok());
    let range = answer(r#"memory{source_id="app"}[1m]"#, instants);
    assert!(matches!(range, Err(Fault::BadData(_))));
    let stopped = evaluate(
        &parse(r#"memory{source_id="app"}"#).expect("a query"),
        &[Vec::new()],
        instants,
        &|| true,
    );
    assert_eq!(stopped, Err(Fault::Internal("query timed out".to_owned())));
}

#[test]
fn scalars_vectors_and_ranges_have_their_own_forms() {
    let at = Instants::At((T + 15) * 1000);
    let shown = |text: &str| render(&answer(text, at).expect("an answer"));
    let scalar =
        r#"{"status":"success","data":{"resultType":"scalar","result":[1700000015.000,"+Inf"]}}"#;
    let with_source = |text: &str| {
        let mut query = parse(r#"x{source_id="app"}"#).expect("a query");
        query.root = Node::Number(text.parse().expect("a number"));
        render(&evaluate(&query, &[Vec::new()], at, &|| false).expect("an answer"))
    };
    assert_eq!(with_source("inf"), scalar);
    assert!(with_source("NaN").contains(r#""NaN""#));
    assert_eq!(
        shown(r#"memory{source_id="app",instance_id="1"}"#),
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"instance_id":"1","process_type":"web","source_id":"app"},"value":[1700000015.000,"2"]}]}}"#
    );
    assert!(
        shown(r#"memory{source_id="app",instance_id="1"}[1m]"#)
            .contains(r#""values":[[1700000000.000,"0"],[1700000015.000,"2"]]"#)
    );
}

#[test]
fn samples_older_than_five_minutes_are_not_found() {
    let late = Instants::At((T + 300 + 299) * 1000);
    let later = Instants::At((T + 300 + 300) * 1000);
    let text = r#"sum(memory{source_id="app"})"#;
    let count = |instants| match answer(text, instants) {
        Ok(Answer::Vector(_, samples)) => samples.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((count(late), count(later)), (1, 0));
}

#[test]
fn too_many_series_are_refused() {
    let many = |count: i64| {
        let all = 0..count;
        all.map(|n| gauge(n, &n.to_string(), &[("memory", 1.0)]))
            .collect::<Vec<_>>()
    };
    let query = parse(r#"memory{source_id="app"}"#).expect("a query");
    assert!(collected(&query, &many(20_000)).is_ok());
    assert!(matches!(
        collected(&query, &many(20_001)),
        Err(Fault::Internal(_))
    ));
}

#[test]
fn names_match_what_was_replaced_in_them() {
    let table = [
        ("http_requests", "http.requests", true),
        ("http_requests", "http_requests", true),
        ("http_requests", "httpxrequests", false),
        ("cpu", "cpu2", false),
    ];
    for (metric, name, expected) in table {
        let pattern = name_pattern(metric).expect("a pattern");
        assert_eq!(pattern.is_match(name), expected, "{metric} {name}");
    }
}
