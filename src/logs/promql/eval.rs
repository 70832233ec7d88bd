//! The evaluation of a query at one or many instants.

use std::collections::BTreeMap;

use super::{
    Answer, Fault, LOOKBACK, Labels, MAX_STEPS, Node, Point, Query, Sample, Selector, Series, Value,
};

/// When a query is evaluated, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::logs) enum Instants {
    /// Once.
    At(i64),
    /// From a first to a last time.
    Every { from: i64, to: i64, step: i64 },
}

/// Asked before every step: whether nobody waits for the answer any more.
pub(in crate::logs) type Stopped<'a> = &'a dyn Fn() -> bool;

impl Instants {
    /// Instants that a query may have.
    pub(in crate::logs) fn every(from: i64, to: i64, step: i64) -> Result<Self, Fault> {
        let fault = |text: String| Err(Fault::BadData(text));
        if step <= 0 {
            let text = "zero or negative query resolution step widths are not accepted. \
                        Try a positive integer";
            return fault(text.to_owned());
        }
        if to < from {
            return fault("end timestamp must not be before start time".to_owned());
        }
        if (to - from) / step >= MAX_STEPS {
            return fault(format!(
                "exceeded maximum resolution of {MAX_STEPS} points per timeseries. Try decreasing \
                 the query resolution (?step=XX)"
            ));
        }
        Ok(Self::Every { from, to, step })
    }

    /// The first and the last.
    pub(in crate::logs) fn bounds(self) -> (i64, i64) {
        match self {
            Self::At(at) => (at, at),
            Self::Every { from, to, .. } => (from, to),
        }
    }
}

/// The answer to a query; `data` has the series of each of its selectors.
pub(in crate::logs) fn evaluate(
    query: &Query,
    data: &[Vec<Series>],
    instants: Instants,
    stopped: Stopped<'_>,
) -> Result<Answer, Fault> {
    let evaluation = Evaluation { query, data };
    match instants {
        Instants::At(at) => evaluation.once(at),
        Instants::Every { from, to, step } => {
            let mut at = from;
            let mut all: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
            while at <= to {
                if stopped() {
                    return Err(Fault::Internal("query timed out".to_owned()));
                }
                evaluation.step(at, &mut all)?;
                at += step;
            }
            let series = all.into_iter();
            let series = series.map(|(labels, points)| Series { labels, points });
            Ok(Answer::Matrix(series.collect()))
        }
    }
}

struct Evaluation<'a> {
    query: &'a Query,
    data: &'a [Vec<Series>],
}

impl Evaluation<'_> {
    fn once(&self, at: i64) -> Result<Answer, Fault> {
        if let Node::Range(number) = self.query.root {
            let of_range = self.ranges(number, at).map(|(series, points, _)| Series {
                labels: series.labels.clone(),
                points: points.to_vec(),
            });
            return Ok(Answer::Matrix(of_range.collect()));
        }
        Ok(match self.value(&self.query.root, at)? {
            Value::Scalar(value) => Answer::Scalar(Point { at, value }),
            Value::Vector(samples) => Answer::Vector(at, samples),
        })
    }

    fn step(&self, at: i64, all: &mut BTreeMap<Labels, Vec<Point>>) -> Result<(), Fault> {
        let samples = match self.value(&self.query.root, at)? {
            Value::Scalar(value) => vec![Sample {
                labels: Labels::new(),
                value,
            }],
            Value::Vector(samples) => samples,
        };
        for Sample { labels, value } in samples {
            all.entry(labels).or_default().push(Point { at, value });
        }
        Ok(())
    }

    fn value(&self, node: &Node, at: i64) -> Result<Value, Fault> {
        Ok(match node {
            Node::Number(value) => Value::Scalar(*value),
            Node::Select(number) => Value::Vector(self.instant(*number, at)),
            Node::Range(_) => {
                return Err(Fault::BadData(
                    "invalid expression type \"range vector\" for range query, must be Scalar or \
                     instant Vector"
                        .to_owned(),
                ));
            }
            Node::OverRange(function, number) => {
                let samples = self
                    .ranges(*number, at)
                    .filter_map(|(series, points, edges)| {
                        let value = function.of(points, edges.0, edges.1)?;
                        let labels = series.labels.clone();
                        Some(Sample { labels, value })
                    });
                Value::Vector(samples.collect())
            }
            Node::Negate(of) => match self.value(of, at)? {
                Value::Scalar(value) => Value::Scalar(-value),
                Value::Vector(mut samples) => {
                    for sample in &mut samples {
                        sample.value = -sample.value;
                    }
                    Value::Vector(samples)
                }
            },
            Node::Aggregate(aggregation, grouping, of) => match self.value(of, at)? {
                Value::Vector(samples) => Value::Vector(aggregation.of(samples, grouping)),
                Value::Scalar(_) => {
                    let text = "an aggregation needs an instant vector, not a scalar";
                    return Err(Fault::BadData(text.to_owned()));
                }
            },
            Node::Binary(binary) => {
                let left = self.value(&binary.left, at)?;
                let right = self.value(&binary.right, at)?;
                binary.of(left, right)?
            }
        })
    }

    fn selector(&self, number: usize) -> Option<(&Selector, &[Series])> {
        Some((self.query.selectors.get(number)?, self.data.get(number)?))
    }

    /// The newest value of each series that is not too old.
    fn instant(&self, number: usize, at: i64) -> Vec<Sample> {
        let Some((selector, all)) = self.selector(number) else {
            return Vec::new();
        };
        let at = at.saturating_sub(selector.offset);
        let samples = all.iter().filter_map(|series| {
            let end = series.points.partition_point(|point| point.at <= at);
            let newest = series.points[..end].last()?;
            (newest.at > at - LOOKBACK).then(|| Sample {
                labels: series.labels.clone(),
                value: newest.value,
            })
        });
        samples.collect()
    }

    /// Each series with its points in a range selector's range, and the range.
    fn ranges(
        &self,
        number: usize,
        at: i64,
    ) -> impl Iterator<Item = (&Series, &[Point], (i64, i64))> {
        let found = self.selector(number).into_iter();
        found.flat_map(move |(selector, all)| {
            let to = at.saturating_sub(selector.offset);
            let from = to.saturating_sub(selector.range.unwrap_or(0));
            all.iter().filter_map(move |series| {
                let points = &series.points;
                let begin = points.partition_point(|point| point.at <= from);
                let end = points.partition_point(|point| point.at <= to);
                (begin < end).then(|| (series, &points[begin..end], (from, to)))
            })
        })
    }
}
