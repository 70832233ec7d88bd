//! Which member of a shard gets an envelope: each envelope goes to one of them.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::logs::envelope::Message;

/// Consumers that share a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The name they have in common.
    pub id: String,
    /// Members with such a name get counters and gauges by the name of the metric.
    pub deterministic_name: Option<String>,
}

/// The member for an envelope, as an index into `names` (the deterministic names of those that
/// want it). Counters and gauges of one name always get to the same of the members with a
/// deterministic name; when a member comes or goes, only its own metrics move. Everything else goes
/// around in turn.
pub(super) fn choose(message: &Message, names: &[Option<&str>], turn: usize) -> Option<usize> {
    if names.is_empty() {
        return None;
    }
    let metric = match message {
        Message::Counter { name, .. } => Some(name),
        Message::Gauge(metrics) => metrics.keys().next(),
        Message::Log { .. } | Message::Timer { .. } | Message::Event { .. } => None,
    };
    let fixed = metric.and_then(|metric| {
        let named = names.iter().enumerate();
        let named = named.filter_map(|(index, name)| Some((index, (*name)?)));
        named.max_by_key(|(_, name)| FixedState::default().hash_one((metric, name)))
    });
    Some(fixed.map_or(turn % names.len(), |(index, _)| index))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::logs::live::testing::{counter, line};

    #[test]
    fn lines_go_around() {
        let log = line(1, "x");
        let chosen: Vec<_> = (0..4)
            .map(|turn| choose(&log.message, &[Some("a"), None], turn))
            .collect();
        assert_eq!(chosen, [Some(0), Some(1), Some(0), Some(1)]);
        assert_eq!(choose(&log.message, &[], 0), None);
    }

    #[test]
    fn metrics_stay_with_a_named_member() {
        let metrics: Vec<_> = (0..60).map(|n| counter(&format!("m{n}"))).collect();
        let owners = |names: &[&'static str]| -> BTreeMap<usize, &'static str> {
            let options: Vec<Option<&str>> = names.iter().map(|name| Some(*name)).collect();
            let owner = |(n, metric): (usize, &std::sync::Arc<_>)| {
                let metric: &crate::logs::Envelope = metric;
                let index = choose(&metric.message, &options, n).expect("a member");
                (n, names[index])
            };
            metrics.iter().enumerate().map(owner).collect()
        };
        let two = owners(&["a", "b"]);
        assert_eq!(two, owners(&["b", "a"]), "the order does not matter");
        assert!(
            ["a", "b"]
                .iter()
                .all(|name| two.values().any(|owner| owner == name))
        );
        let three = owners(&["a", "b", "c"]);
        for (metric, owner) in &three {
            assert!(*owner == "c" || two[metric] == *owner, "{metric} moved");
        }
        let mixed = choose(&metrics[0].message, &[None, Some("a"), None], 2);
        assert_eq!(mixed, Some(1), "the one with a name");
    }
}
