//! Arithmetic and comparisons.

use std::collections::{HashMap, HashSet};

use super::{Binary, Fault, Labels, Operator, Sample, Value};

impl Operator {
    /// Whether it compares.
    pub(super) fn compares(self) -> bool {
        match self {
            Self::Add
            | Self::Subtract
            | Self::Multiply
            | Self::Divide
            | Self::Modulo
            | Self::Power => false,
            Self::Equal
            | Self::NotEqual
            | Self::Greater
            | Self::Less
            | Self::GreaterOrEqual
            | Self::LessOrEqual => true,
        }
    }

    /// The result; 0 or 1 of a comparison.
    #[expect(clippy::float_cmp, reason = "PromQL compares exactly")]
    pub(super) fn of(self, left: f64, right: f64) -> f64 {
        let holds = match self {
            Self::Add => return left + right,
            Self::Subtract => return left - right,
            Self::Multiply => return left * right,
            Self::Divide => return left / right,
            Self::Modulo => return left % right,
            Self::Power => return left.powf(right),
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::Less => left < right,
            Self::GreaterOrEqual => left >= right,
            Self::LessOrEqual => left <= right,
        };
        f64::from(u8::from(holds))
    }
}

impl Binary {
    /// Of the values of both sides.
    pub(super) fn of(&self, left: Value, right: Value) -> Result<Value, Fault> {
        Ok(match (left, right) {
            (Value::Scalar(left), Value::Scalar(right)) => {
                Value::Scalar(self.operator.of(left, right))
            }
            (Value::Vector(left), Value::Scalar(right)) => {
                Value::Vector(self.each(left, |value| (value, right)))
            }
            (Value::Scalar(left), Value::Vector(right)) => {
                Value::Vector(self.each(right, |value| (left, value)))
            }
            (Value::Vector(left), Value::Vector(right)) => {
                Value::Vector(self.matched(left, right)?)
            }
        })
    }

    /// Every sample of a vector with a scalar. A comparison keeps the vector's value.
    fn each(&self, samples: Vec<Sample>, sides: impl Fn(f64) -> (f64, f64)) -> Vec<Sample> {
        let results = samples.into_iter().filter_map(|sample| {
            let (left, right) = sides(sample.value);
            let value = self.result(left, right, sample.value)?;
            Some(Sample { value, ..sample })
        });
        results.collect()
    }

    /// The result of one pair; `kept` when a comparison without `bool` holds, nothing when not.
    fn result(&self, left: f64, right: f64, kept: f64) -> Option<f64> {
        let result = self.operator.of(left, right);
        if !self.operator.compares() || self.gives_bool {
            Some(result)
        } else {
            (result > 0.0).then_some(kept)
        }
    }

    /// Samples of both sides with the same labels.
    fn matched(&self, left: Vec<Sample>, right: Vec<Sample>) -> Result<Vec<Sample>, Fault> {
        let mut others: HashMap<Labels, f64> = HashMap::with_capacity(right.len());
        for sample in right {
            let key = self.matching.key(&sample.labels);
            if others.contains_key(&key) {
                return Err(ambiguous(&key, "right"));
            }
            others.insert(key, sample.value);
        }
        let mut seen: HashSet<Labels> = HashSet::with_capacity(left.len());
        let mut results = Vec::new();
        for sample in left {
            let key = self.matching.key(&sample.labels);
            let Some(other) = others.get(&key) else {
                continue;
            };
            if !seen.insert(key.clone()) {
                return Err(ambiguous(&key, "left"));
            }
            if let Some(value) = self.result(sample.value, *other, sample.value) {
                results.push(Sample { labels: key, value });
            }
        }
        Ok(results)
    }
}

fn ambiguous(group: &Labels, side: &str) -> Fault {
    Fault::Internal(format!(
        "found duplicate series for the match group {group:?} on the {side} hand-side of the \
         operation; many-to-many matching not allowed: matching labels must be unique on one side"
    ))
}
