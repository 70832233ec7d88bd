//! The series of a selector, made from envelopes.
//!
//! As in Log Cache: a counter is its total, a gauge its value, a timer its duration in nanoseconds;
//! labels are the tags with `source_id` and `instance_id`; times are cut to whole seconds, and of
//! several values in one second the last one counts.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use regex::Regex;

use super::{Fault, LOOKBACK, Labels, Point, Selector, Series};
use crate::logs::envelope::{Envelope, Kinds, Message, Tags};

/// Most samples that a query reads.
const MOST_SAMPLES: usize = 250_000;
/// Most series that a query reads.
const MOST_SERIES: usize = 20_000;
const NANOS: i64 = 1_000_000;

/// The kinds of envelopes that are metrics.
pub(in crate::logs) const fn kinds() -> Kinds {
    Kinds::COUNTER.with(Kinds::GAUGE).with(Kinds::TIMER)
}

/// The times in nanoseconds whose envelopes a selector needs for evaluations in a range of
/// milliseconds.
pub(in crate::logs) fn window(selector: &Selector, from: i64, to: i64) -> Range<i64> {
    let back = selector.range.unwrap_or(LOOKBACK);
    let start = from.saturating_sub(selector.offset).saturating_sub(back);
    let end = to.saturating_sub(selector.offset);
    // Times are cut to seconds: an envelope of the same second counts.
    let end = end.div_euclid(1000).saturating_add(1).saturating_mul(1000);
    start.saturating_mul(NANOS)..end.saturating_mul(NANOS)
}

/// Matches the names of envelopes that may be this metric: other letters than those of a metric's
/// name were replaced by `_`.
pub(in crate::logs) fn name_pattern(metric: &str) -> Option<Regex> {
    let pattern: String = { metric.chars() }
        .map(|letter| match letter {
            '_' => "[^a-zA-Z0-9]".to_owned(),
            letter => regex::escape(letter.encode_utf8(&mut [0; 4])),
        })
        .collect();
    Regex::new(&format!("^{pattern}$")).ok()
}

/// The name of a metric in PromQL.
fn metric_name(name: &str) -> String {
    { name.chars() }
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '_',
        })
        .collect()
}

/// The series of a query's selectors so far.
#[derive(Debug, Default)]
pub(in crate::logs) struct Collector {
    samples: usize,
    series: usize,
    collected: Vec<Vec<Series>>,
}

/// The series of every selector.
pub(in crate::logs) type Collected = Vec<Vec<Series>>;

impl Collector {
    /// Takes the envelopes of the next selector's sources, each in order of time.
    pub(in crate::logs) fn begin(&mut self) -> Selected<'_> {
        Selected {
            points: Vec::new(),
            by_labels: HashMap::new(),
            collector: self,
        }
    }

    /// Everything that was taken.
    pub(in crate::logs) fn finish(self) -> Collected {
        self.collected
    }
}

/// The series of one selector so far.
#[derive(Debug)]
pub(in crate::logs) struct Selected<'a> {
    /// Those of each series, by its number.
    points: Vec<Vec<Point>>,
    by_labels: HashMap<Labels, usize>,
    collector: &'a mut Collector,
}

impl Selected<'_> {
    /// Adds those of one source's envelopes that match.
    pub(in crate::logs) fn add(
        &mut self,
        selector: &Selector,
        envelopes: &[Envelope],
    ) -> Result<(), Fault> {
        // Most envelopes share their tags with others: they are looked at once.
        let mut known: HashMap<*const Tags, Option<usize>> = HashMap::new();
        for envelope in envelopes {
            let Some(value) = value(&envelope.message, &selector.metric) else {
                continue;
            };
            let tags = Arc::as_ptr(&envelope.tags);
            let number = *known
                .entry(tags)
                .or_insert_with(|| self.number(selector, envelope));
            let Some(number) = number else { continue };
            let at = envelope.timestamp.div_euclid(1_000 * NANOS) * 1000;
            self.push(number, Point { at, value })?;
        }
        Ok(())
    }

    /// The number of an envelope's series, if its labels match.
    fn number(&mut self, selector: &Selector, envelope: &Envelope) -> Option<usize> {
        let mut labels = (*envelope.tags).clone();
        labels.insert("source_id".to_owned(), envelope.source_id.to_string());
        if !envelope.instance_id.is_empty() {
            let instance = envelope.instance_id.to_string();
            labels.insert("instance_id".to_owned(), instance);
        }
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        let mut matchers = selector.matchers.iter();
        if !matchers.all(|matcher| matcher.is_match(label(&matcher.name))) {
            return None;
        }
        if let Some(number) = self.by_labels.get(&labels) {
            return Some(*number);
        }
        let number = self.points.len();
        self.by_labels.insert(labels, number);
        self.points.push(Vec::new());
        self.collector.series += 1;
        Some(number)
    }

    fn push(&mut self, number: usize, point: Point) -> Result<(), Fault> {
        let Some(points) = self.points.get_mut(number) else {
            return Ok(());
        };
        match points.last_mut() {
            Some(last) if last.at == point.at => *last = point,
            _ => {
                points.push(point);
                self.collector.samples += 1;
            }
        }
        let (samples, count) = (self.collector.samples, self.collector.series);
        if samples > MOST_SAMPLES || count > MOST_SERIES {
            let text =
                "query processing would load too many samples into memory in query execution";
            return Err(Fault::Internal(text.to_owned()));
        }
        Ok(())
    }

    /// The selector has no more sources.
    pub(in crate::logs) fn end(mut self) {
        let all = self.by_labels.into_iter().map(|(labels, number)| {
            let points = self.points.get_mut(number).map(std::mem::take);
            Series {
                labels,
                points: points.unwrap_or_default(),
            }
        });
        let mut series: Vec<Series> = all.collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.collector.collected.push(series);
    }
}

#[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
fn value(message: &Message, metric: &str) -> Option<f64> {
    let is_it = |name: &str| metric_name(name) == metric;
    match message {
        Message::Counter { name, total, .. } if is_it(name) => Some(*total as f64),
        Message::Timer { name, start, stop } if is_it(name) => {
            Some(stop.saturating_sub(*start) as f64)
        }
        Message::Gauge(metrics) => {
            let found = metrics.iter().find(|(name, _)| is_it(name));
            found.map(|(_, gauge)| gauge.value)
        }
        _ => None,
    }
}
