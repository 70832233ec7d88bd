//! Functions of a range of points.

use super::{Point, RangeFunction};

impl RangeFunction {
    /// Of the points in a range from `from` (not included) to `to`, in milliseconds; nothing when
    /// there are too few.
    #[expect(clippy::cast_precision_loss, reason = "a number of points")]
    pub(super) fn of(self, points: &[Point], from: i64, to: i64) -> Option<f64> {
        let last = points.last()?;
        let values = points.iter().map(|point| point.value);
        Some(match self {
            Self::Rate => {
                let seconds = (to - from) as f64 / 1000.0;
                extrapolated(points, from, to, Reset::Restarts)? / seconds
            }
            Self::Increase => extrapolated(points, from, to, Reset::Restarts)?,
            Self::Delta => extrapolated(points, from, to, Reset::IsAValue)?,
            Self::Average => average(values),
            Self::Sum => sum(values),
            Self::Max => max(values),
            Self::Min => min(values),
            Self::Count => points.len() as f64,
            Self::Last => last.value,
        })
    }
}

/// What a smaller value than the one before means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reset {
    /// The counter began again.
    Restarts,
    /// Nothing special.
    IsAValue,
}

/// The growth between the first and the last point, extended to the edges of the range: up to an edge
/// that is about as near as points are to each other, else by half of that distance. A counter is not
/// extended to before it was zero.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a range")]
fn extrapolated(points: &[Point], from: i64, to: i64, reset: Reset) -> Option<f64> {
    let [first, .., last] = points else {
        return None;
    };
    let sampled = (last.at - first.at) as f64;
    let mut growth = last.value - first.value;
    if reset == Reset::Restarts {
        let pairs = points.windows(2);
        growth += pairs
            .filter(|pair| pair[1].value < pair[0].value)
            .map(|pair| pair[0].value)
            .sum::<f64>();
    }
    let between = sampled / (points.len() - 1) as f64;
    let near = between * 1.1;
    let (mut before, mut after) = ((first.at - from) as f64, (to - last.at) as f64);
    if before >= near {
        before = between / 2.0;
    }
    if reset == Reset::Restarts && growth > 0.0 && first.value >= 0.0 {
        before = before.min(sampled * (first.value / growth));
    }
    if after >= near {
        after = between / 2.0;
    }
    Some(growth * (sampled + before + after) / sampled)
}

pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    // Compensated, so that many small values are not lost beside a big one.
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        if next.is_infinite() {
            lost = 0.0;
        } else if sum.abs() >= value.abs() {
            lost += (sum - next) + value;
        } else {
            lost += (value - next) + sum;
        }
        sum = next;
    }
    if sum.is_infinite() { sum } else { sum + lost }
}

#[expect(clippy::cast_precision_loss, reason = "a number of values")]
pub(super) fn average(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    sum(values) / count
}

/// The greatest; NaN only when all are.
pub(super) fn max(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NAN, f64::max)
}

/// The smallest; NaN only when all are.
pub(super) fn min(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NAN, f64::min)
}
