//! Aggregations of a vector, and the groups of its labels.

use std::collections::BTreeMap;

use super::functions::{average, max, min, sum};
use super::{Aggregation, Grouping, Labels, Sample};

impl Grouping {
    /// The labels by which a sample is put into its group.
    pub(super) fn key(&self, labels: &Labels) -> Labels {
        let is_kept = |name: &String| match self {
            Self::By(names) => names.contains(name),
            Self::Without(names) => !names.contains(name),
        };
        let kept = labels.iter().filter(|(name, _)| is_kept(name));
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

impl Aggregation {
    /// One sample for each group, in order of their labels.
    #[expect(clippy::cast_precision_loss, reason = "a number of values")]
    pub(super) fn of(self, samples: Vec<Sample>, grouping: &Grouping) -> Vec<Sample> {
        let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
        for sample in samples {
            let key = grouping.key(&sample.labels);
            groups.entry(key).or_default().push(sample.value);
        }
        let aggregated = groups.into_iter().map(|(labels, values)| {
            let all = values.iter().copied();
            let value = match self {
                Self::Sum => sum(all),
                Self::Average => average(all),
                Self::Max => max(all),
                Self::Min => min(all),
                Self::Count => values.len() as f64,
            };
            Sample { labels, value }
        });
        aggregated.collect()
    }
}
