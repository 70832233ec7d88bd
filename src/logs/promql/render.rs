//! Answers as JSON, with the times and numbers that Log Cache's clients expect: seconds with three
//! decimals, and values as text.

use std::fmt::Write as _;

use super::{Answer, Labels, Point};

/// The body of a response.
pub(in crate::logs) fn render(answer: &Answer) -> String {
    let mut body = String::from(r#"{"status":"success","data":{"resultType":"#);
    match answer {
        Answer::Scalar(point) => {
            body.push_str(r#""scalar","result":"#);
            push_point(&mut body, *point);
        }
        Answer::Vector(at, samples) => {
            body.push_str(r#""vector","result":["#);
            for (number, sample) in samples.iter().enumerate() {
                push_metric(&mut body, number, &sample.labels);
                body.push_str(r#","value":"#);
                let value = sample.value;
                push_point(&mut body, Point { at: *at, value });
                body.push('}');
            }
            body.push(']');
        }
        Answer::Matrix(all) => {
            body.push_str(r#""matrix","result":["#);
            for (number, series) in all.iter().enumerate() {
                push_metric(&mut body, number, &series.labels);
                body.push_str(r#","values":["#);
                for (number, point) in series.points.iter().enumerate() {
                    if number > 0 {
                        body.push(',');
                    }
                    push_point(&mut body, *point);
                }
                body.push_str("]}");
            }
            body.push(']');
        }
    }
    body.push_str("}}");
    body
}

fn push_metric(body: &mut String, number: usize, labels: &Labels) {
    if number > 0 {
        body.push(',');
    }
    body.push_str(r#"{"metric":"#);
    // Strings always have a JSON form.
    body.push_str(&serde_json::to_string(labels).unwrap_or_default());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of this age are exact"
)]
fn push_point(body: &mut String, point: Point) {
    let seconds = point.at as f64 / 1000.0;
    // Writing to a string cannot fail.
    let _written = match point.value {
        value if value.is_nan() => write!(body, r#"[{seconds:.3},"NaN"]"#),
        value if value.is_infinite() => {
            let sign = if value > 0.0 { '+' } else { '-' };
            write!(body, r#"[{seconds:.3},"{sign}Inf"]"#)
        }
        value => write!(body, r#"[{seconds:.3},"{value}"]"#),
    };
}
