//! Hash-based routing: requests with the same value of a header go to the same instance, and few of
//! them move when instances come and go.
//!
//! The slots of a table (Maglev) are shared out among the instances, each in an order of its own. A
//! request goes to the instance of the slot that its header's hash names, or of the next slot whose
//! instance can take it.
//!
//! Source: gorouter's hash-based routing (routing-release); Eisenbud et al., "Maglev: A
//! Fast and Reliable Software Network Load Balancer" (2016), section 3.4.

use std::hash::Hasher;

use fnv::FnvHasher;
use http::HeaderName;

/// A prime, much larger than the number of instances of a route.
const SLOTS: usize = 1801;

/// The options of a route that balances by hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// The header whose value decides.
    pub header: HeaderName,
    /// How many times the average of requests an instance may have before others take over, in
    /// tenths; 0 = any.
    pub balance: u32,
}

/// FNV-1a.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Which endpoint of a pool has which slot.
#[derive(Debug)]
pub(crate) struct Slots(Box<[usize]>);

impl Slots {
    /// Shares the slots out among endpoints, given the instance of each.
    pub(crate) fn of(instances: &[&str]) -> Self {
        // Independent of the order in which the instances are known.
        let mut order: Vec<usize> = (0..instances.len()).collect();
        order.sort_by_key(|at| instances[*at]);
        let mut walks: Vec<Walk> = order.iter().map(|at| Walk::of(instances[*at])).collect();
        let mut slots = vec![None; SLOTS];
        let mut free = if walks.is_empty() { 0 } else { SLOTS };
        while free > 0 {
            for (walk, at) in walks.iter_mut().zip(&order).take(free) {
                let slot = walk.find(|slot| slots[*slot].is_none());
                if let Some(slot) = slot {
                    slots[slot] = Some(*at);
                    free -= 1;
                }
            }
        }
        Self(slots.into_iter().flatten().collect())
    }

    /// The endpoints for a hash, best first; each may come several times.
    pub(crate) fn from(&self, hash: u64) -> impl Iterator<Item = usize> {
        let count = self.0.len();
        let start = usize::try_from(hash % SLOTS as u64).unwrap_or_default();
        (0..count).map(move |step| self.0[(start + step) % count])
    }
}

/// The order in which an instance wants the slots; it has all of them.
struct Walk {
    next: usize,
    step: usize,
}

impl Walk {
    fn of(instance: &str) -> Self {
        let below =
            |hash: u64, count: usize| usize::try_from(hash % count as u64).unwrap_or_default();
        let hash = hash(instance.as_bytes());
        Self {
            next: below(hash, SLOTS),
            step: below(hash >> 32, SLOTS - 1) + 1,
        }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let slot = self.next;
        self.next = (slot + self.step) % SLOTS;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count)
            .map(|number| format!("instance-{number}"))
            .collect()
    }

    fn owners(names: &[String]) -> Vec<String> {
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let slots = Slots::of(&all);
        slots.0.iter().map(|at| names[*at].clone()).collect()
    }

    #[test]
    fn every_instance_has_its_share_of_the_slots() {
        for count in [1, 2, 3, 7, 50] {
            let names = names(count);
            let owners = owners(&names);
            assert_eq!(owners.len(), SLOTS);
            for name in &names {
                let share = owners.iter().filter(|owner| *owner == name).count();
                assert!(share.abs_diff(SLOTS / count) <= 1, "{count}: {share}");
            }
        }
        assert_eq!(Slots::of(&[]).from(7).count(), 0);
    }

    #[test]
    fn the_order_in_which_instances_are_known_does_not_matter() {
        let names = names(5);
        let mut other = names.clone();
        other.reverse();
        assert_eq!(owners(&names), owners(&other));
    }

    #[test]
    fn few_slots_move_when_an_instance_comes() {
        let before = owners(&names(9));
        let after = owners(&names(10));
        let moved = before.iter().zip(&after).filter(|(one, two)| one != two);
        // The new one's tenth has to move.
        let moved = moved.count();
        assert!((SLOTS / 11..SLOTS / 4).contains(&moved), "{moved}");
    }

    #[test]
    fn a_hash_starts_at_its_slot_and_reaches_all() {
        let slots = Slots::of(&["a", "b", "c"]);
        let found: Vec<usize> = slots.from(1800).collect();
        assert_eq!(found[0], slots.0[1800]);
        assert_eq!(found[1], slots.0[0]);
        assert!((0..3).all(|at| found.contains(&at)));
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
