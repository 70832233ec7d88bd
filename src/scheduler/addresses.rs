//! Which address the next container gets. Pure; `now` counts from any fixed moment and never goes
//! back.
//!
//! An address is used again as late as possible: in rotation over the whole range, and never
//! before [`QUIET`] has gone by since no container had it. Whoever still knows a container that
//! ended by its address (a request being sent, a health check, a tunnel) then meets nobody, and
//! never the instance of another app.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::docker::AddressRange;

/// How long nobody gets an address after its last container was seen to be gone. Longer than
/// anybody keeps the address of a container that ended.
pub(super) const QUIET: Duration = Duration::from_secs(120);

/// The longest time from choosing an address to the container that has it.
pub(super) const CREATION: Duration = Duration::from_secs(300);

/// What is known of an address that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// A container has it, or is about to be made with it.
    Used { since: Duration },
    /// No container has it.
    Quiet { since: Duration },
}

/// The addresses of one network.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    range: AddressRange,
    next: u32,
    held: BTreeMap<u32, Held>,
}

impl Addresses {
    /// All addresses of `range`, from the one after `newest` on.
    pub(super) fn new(range: AddressRange, newest: Option<Ipv4Addr>) -> Self {
        let mut addresses = Self {
            range,
            next: range.first.into(),
            held: BTreeMap::new(),
        };
        if let Some(newest) = newest.filter(|address| addresses.holds(*address)) {
            addresses.next = addresses.after(newest.into());
        }
        addresses
    }

    /// Whether these are the addresses of `range`.
    pub(super) fn are_of(&self, range: AddressRange) -> bool {
        self.range == range
    }

    /// The next address; `None` when every one is in use or was until just now.
    pub(super) fn take(&mut self, now: Duration) -> Option<Ipv4Addr> {
        let mut candidate = self.next;
        loop {
            let free = match self.held.get(&candidate) {
                None => true,
                Some(Held::Used { .. }) => false,
                Some(Held::Quiet { since }) => now.saturating_sub(*since) >= QUIET,
            };
            let following = self.after(candidate);
            if free {
                self.held.insert(candidate, Held::Used { since: now });
                self.next = following;
                return Some(candidate.into());
            }
            if following == self.next {
                return None;
            }
            candidate = following;
        }
    }

    /// Compares with the addresses that containers have, running or not. Quiet ones whose time is
    /// over are forgotten.
    pub(super) fn compare(&mut self, used: &BTreeSet<Ipv4Addr>, now: Duration) {
        let AddressRange { first, last } = self.range;
        for address in used.range(first..=last) {
            let held = self.held.entry((*address).into());
            let held = held.or_insert(Held::Used { since: now });
            if let Held::Quiet { .. } = held {
                *held = Held::Used { since: now };
            }
        }
        self.held.retain(|address, held| match held {
            Held::Used { .. } if used.contains(&Ipv4Addr::from(*address)) => true,
            Held::Used { since } => {
                if now.saturating_sub(*since) >= CREATION {
                    *held = Held::Quiet { since: now };
                }
                true
            }
            Held::Quiet { since } => now.saturating_sub(*since) < QUIET,
        });
    }

    /// Whether the next address may only look used: then containers should be looked at.
    pub(super) fn is_crowded(&self) -> bool {
        self.held.contains_key(&self.next)
    }

    fn holds(&self, address: Ipv4Addr) -> bool {
        (self.range.first..=self.range.last).contains(&address)
    }

    fn after(&self, address: u32) -> u32 {
        if address >= u32::from(self.range.last) {
            self.range.first.into()
        } else {
            address + 1
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(count: u8) -> AddressRange {
        AddressRange {
            first: Ipv4Addr::new(10, 0, 0, 1),
            last: Ipv4Addr::new(10, 0, 0, count),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn last_byte(address: Option<Ipv4Addr>) -> Option<u8> {
        address.map(|address| address.octets()[3])
    }

    #[test]
    fn a_freed_address_is_the_last_to_come_again() {
        let mut addresses = Addresses::new(range(4), None);
        let taken: Vec<_> = (0..4).map(|_| last_byte(addresses.take(at(0)))).collect();
        assert_eq!(taken, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(addresses.take(at(0)), None);
        // Container 2 ended long ago; that it is gone is seen now.
        let used = [1, 3, 4].map(|last| Ipv4Addr::new(10, 0, 0, last)).into();
        addresses.compare(&used, at(1000));
        assert_eq!(addresses.take(at(1000)), None);
        assert_eq!(addresses.take(at(1119)), None);
        assert_eq!(last_byte(addresses.take(at(1120))), Some(2));
    }

    #[test]
    fn a_container_that_is_still_being_made_keeps_its_address() {
        let mut addresses = Addresses::new(range(1), None);
        assert!(addresses.take(at(0)).is_some());
        addresses.compare(&BTreeSet::new(), at(299));
        assert_eq!(addresses.take(at(299 + 120)), None);
        addresses.compare(&BTreeSet::new(), at(300));
        assert_eq!(last_byte(addresses.take(at(420))), Some(1));
    }

    #[test]
    fn the_rotation_goes_on_after_a_restart() {
        let used: BTreeSet<_> = [3, 9].map(|last| Ipv4Addr::new(10, 0, 0, last)).into();
        let mut addresses = Addresses::new(range(9), Some(Ipv4Addr::new(10, 0, 0, 9)));
        addresses.compare(&used, at(0));
        let taken: Vec<_> = (0..3).map(|_| last_byte(addresses.take(at(0)))).collect();
        assert_eq!(taken, [Some(1), Some(2), Some(4)]);
        let foreign = Addresses::new(range(9), Some(Ipv4Addr::new(10, 9, 0, 1)));
        assert_eq!(foreign.next, u32::from(Ipv4Addr::new(10, 0, 0, 1)));
    }

    proptest! {
        /// Containers come and go in any order; nobody gets an address that somebody has, or had
        /// within the quiet time.
        #[test]
        fn no_address_is_given_to_two_containers_in_a_row(
            steps in proptest::collection::vec((0_u8..4, 0_u64..200, any::<prop::sample::Index>()), 1..200),
        ) {
            let mut addresses = Addresses::new(range(6), None);
            let mut now = 0;
            let mut living: Vec<Ipv4Addr> = Vec::new();
            let mut ended: BTreeMap<Ipv4Addr, u64> = BTreeMap::new();
            for (step, pause, which) in steps {
                now += pause;
                match step {
                    0 | 1 => {
                        if let Some(address) = addresses.take(at(now)) {
                            prop_assert!(!living.contains(&address));
                            let since = ended.get(&address).map(|end| now - end);
                            prop_assert!(since.is_none_or(|time| time >= QUIET.as_secs()));
                            living.push(address);
                        }
                    }
                    2 if !living.is_empty() => {
                        let address = living.swap_remove(which.index(living.len()));
                        ended.insert(address, now);
                    }
                    _ => addresses.compare(&living.iter().copied().collect(), at(now)),
                }
            }
        }
    }
}
