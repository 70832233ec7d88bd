//! Properties of parser and evaluation, for any text and any values.

use proptest::prelude::*;

use super::tests::{T, answer};
use super::*;

/// Texts that are nearly queries.
fn texts() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "memory",
        "cpu",
        "{",
        "}",
        "(",
        ")",
        "[5m]",
        "[",
        "]",
        "source_id=\"app\"",
        "=~",
        "!=",
        ",",
        "sum",
        "rate",
        "avg_over_time",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "bool",
        "offset",
        "-",
        "+",
        "*",
        "/",
        "^",
        "%",
        "==",
        ">",
        "<",
        "1",
        "0.5e9",
        "1h",
        "NaN",
        "Inf",
        "\"",
        "'",
        "`",
        "\\",
        "\u{0}",
        "é",
        " ",
        "@",
        "start()",
        "topk",
        "and",
        "or",
        "#",
        "{}",
        "$__interval",
        "0x1f",
        "[5m:]",
        "__name__",
        "=\"x\"",
    ]);
    let words = prop::collection::vec(words, 0..24).prop_map(|words| words.join(" "));
    prop_oneof![2 => words, 1 => ".{0,60}"]
}

/// Expressions that are queries.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(r#"memory{source_id="app"}"#.to_owned()),
        Just(r#"memory_quota{source_id="app"} offset 30s"#.to_owned()),
        Just(r#"rate(http_requests{source_id="app"}[2m])"#.to_owned()),
        Just(r#"max_over_time(memory{source_id="app"}[1m])"#.to_owned()),
        (-5..5_i32).prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let operators =
            prop::sample::select(vec!["+", "-", "*", "/", "%", "^", "> bool", "== bool"]);
        prop_oneof![
            (inner.clone(), operators, inner.clone())
                .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            inner.clone().prop_map(|of| format!("-({of})")),
            inner.prop_map(|of| format!(
                "sum by (instance_id) ({of} + memory{{source_id=\"app\"}})"
            )),
        ]
    })
}

proptest! {
    /// No text makes the parser or the evaluation panic, and every answer is JSON.
    #[test]
    fn any_text_is_answered_or_refused(text in texts()) {
        for instants in [
            Instants::At((T + 100) * 1000),
            Instants::every(T * 1000, (T + 300) * 1000, 45_000).expect("allowed"),
        ] {
            if let Ok(answer) = answer(&text, instants) {
                let json = serde_json::from_str::<serde_json::Value>(&render(&answer));
                prop_assert!(json.is_ok(), "{text}");
            }
        }
    }

    /// A range query answers at each step what an instant query answers at that time.
    #[test]
    fn ranges_are_many_instants(text in expressions()) {
        let (from, step) = ((T + 60) * 1000, 50_000);
        let range = Instants::every(from, from + 4 * step, step).expect("allowed");
        let Ok(Answer::Matrix(series)) = answer(&text, range) else {
            // Both fail alike.
            prop_assert!((0..5).any(|n| answer(&text, Instants::At(from + n * step)).is_err()));
            return Ok(());
        };
        for number in 0..5 {
            let at = from + number * step;
            let samples = match answer(&text, Instants::At(at)) {
                Ok(Answer::Vector(_, samples)) => samples,
                Ok(Answer::Scalar(point)) => vec![Sample {
                    labels: Labels::new(),
                    value: point.value,
                }],
                other => return Err(TestCaseError::fail(format!("{text}: {other:?}"))),
            };
            let mut of_range: Vec<Sample> = Vec::new();
            for one in &series {
                let points = one.points.iter().filter(|point| point.at == at);
                of_range.extend(points.map(|point| Sample {
                    labels: one.labels.clone(),
                    value: point.value,
                }));
            }
            prop_assert_eq!(of_range.len(), samples.len());
            for sample in samples {
                let same = of_range.iter().any(|other| {
                    other.labels == sample.labels
                        && (other.value.to_bits() == sample.value.to_bits()
                            || other.value.is_nan() && sample.value.is_nan())
                });
                prop_assert!(same, "{}: {:?}", text, sample);
            }
        }
    }

    /// The sum of the groups is the sum of all.
    #[test]
    fn groups_add_up(values in prop::collection::vec(-1e6..1e6_f64, 1..40)) {
        let samples: Vec<Sample> = values.iter().enumerate().map(|(n, value)| Sample {
            labels: Labels::from([("a".to_owned(), (n % 3).to_string()), ("b".to_owned(), n.to_string())]),
            value: *value,
        }).collect();
        let all = Aggregation::Sum.of(samples.clone(), &Grouping::By(Vec::new()));
        let groups = Aggregation::Sum.of(samples.clone(), &Grouping::Without(vec!["b".to_owned()]));
        prop_assert!(groups.len() <= 3);
        let again = Aggregation::Sum.of(groups, &Grouping::By(Vec::new()));
        prop_assert!((again[0].value - all[0].value).abs() < 1e-6);
        let most = Aggregation::Max.of(samples, &Grouping::By(Vec::new()));
        let greatest = values.iter().copied().fold(f64::MIN, f64::max);
        prop_assert_eq!(most[0].value.to_bits(), greatest.to_bits());
    }

    /// A counter that only grows has the increase of its last value over its first, within the
    /// extension to the edges.
    #[test]
    fn increases_are_what_was_added(steps in prop::collection::vec(0..1000_u32, 2..60)) {
        let mut total = 0.0;
        let points: Vec<Point> = steps.iter().zip(0..).map(|(step, n)| {
            total += f64::from(*step);
            Point { at: n * 1000, value: total }
        }).collect();
        let (first, last) = (points[0], points[points.len() - 1]);
        let grown = last.value - first.value;
        let increase = RangeFunction::Increase.of(&points, -500, last.at + 500);
        let increase = increase.expect("two points");
        let seconds = f64::from(u32::try_from(points.len()).expect("small"));
        prop_assert!(increase >= grown - 1e-9);
        prop_assert!(increase <= grown * seconds / (seconds - 1.0) + 1e-6);
    }
}
