//! Address allocation for containers. Pure; `now` is monotonic and counts from any fixed moment.
//!
//! Addresses are reused as late as possible: in rotation over the whole range, and only
//! [`COOLDOWN`] after the last container released them. A client that still uses the address of an
//! ended container (a request, a health check, a tunnel) then gets no connection, and never reaches
//! another app's instance.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::docker::AddressRange;

/// How long a released address stays unused. Longer than any client keeps the address of an ended
/// container.
pub(super) const COOLDOWN: Duration = Duration::from_secs(120);

/// The longest time from allocating an address to the creation of its container.
pub(super) const CREATION_TIMEOUT: Duration = Duration::from_secs(300);

/// The state of an allocated address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressState {
    /// A container has it, or is being created with it.
    InUse { since: Duration },
    /// Released; not free yet.
    Cooling { since: Duration },
}

/// The addresses of one network.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    range: AddressRange,
    next: u32,
    states: BTreeMap<u32, AddressState>,
}

impl Addresses {
    /// All addresses of `range`, from the one after `newest` on.
    pub(super) fn new(range: AddressRange, newest: Option<Ipv4Addr>) -> Self {
        let mut addresses = Self {
            range,
            next: range.first.into(),
            states: BTreeMap::new(),
        };
        if let Some(newest) = newest.filter(|address| addresses.contains(*address)) {
            addresses.next = addresses.after(newest.into());
        }
        addresses
    }

    /// Whether these are the addresses of `range`.
    pub(super) fn cover(&self, range: AddressRange) -> bool {
        self.range == range
    }

    /// Allocates the next address; `None` when all are in use or cooling down.
    pub(super) fn take(&mut self, now: Duration) -> Option<Ipv4Addr> {
        let mut candidate = self.next;
        loop {
            let free = match self.states.get(&candidate) {
                None => true,
                Some(AddressState::InUse { .. }) => false,
                Some(AddressState::Cooling { since }) => now.saturating_sub(*since) >= COOLDOWN,
            };
            let following = self.after(candidate);
            if free {
                self.states
                    .insert(candidate, AddressState::InUse { since: now });
                self.next = following;
                return Some(candidate.into());
            }
            if following == self.next {
                return None;
            }
            candidate = following;
        }
    }

    /// Updates the states from the addresses of all containers, running or not. Frees addresses
    /// whose cooldown is over.
    pub(super) fn update(&mut self, used: &BTreeSet<Ipv4Addr>, now: Duration) {
        let AddressRange { first, last } = self.range;
        for address in used.range(first..=last) {
            let state = self.states.entry((*address).into());
            let state = state.or_insert(AddressState::InUse { since: now });
            if let AddressState::Cooling { .. } = state {
                *state = AddressState::InUse { since: now };
            }
        }
        self.states.retain(|address, state| match state {
            AddressState::InUse { .. } if used.contains(&Ipv4Addr::from(*address)) => true,
            AddressState::InUse { since } => {
                if now.saturating_sub(*since) >= CREATION_TIMEOUT {
                    *state = AddressState::Cooling { since: now };
                }
                true
            }
            AddressState::Cooling { since } => now.saturating_sub(*since) < COOLDOWN,
        });
    }

    /// Whether the next address is marked as used; then call [`Self::update`] first.
    pub(super) fn needs_update(&self) -> bool {
        self.states.contains_key(&self.next)
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
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
    fn a_freed_address_is_reused_last() {
        let mut addresses = Addresses::new(range(4), None);
        let taken: Vec<_> = (0..4).map(|_| last_byte(addresses.take(at(0)))).collect();
        assert_eq!(taken, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(addresses.take(at(0)), None);
        // Container 2 ended long ago; its end is noticed now.
        let used = [1, 3, 4].map(|last| Ipv4Addr::new(10, 0, 0, last)).into();
        addresses.update(&used, at(1000));
        assert_eq!(addresses.take(at(1000)), None);
        assert_eq!(addresses.take(at(1119)), None);
        assert_eq!(last_byte(addresses.take(at(1120))), Some(2));
    }

    #[test]
    fn a_container_being_created_keeps_its_address() {
        let mut addresses = Addresses::new(range(1), None);
        assert!(addresses.take(at(0)).is_some());
        addresses.update(&BTreeSet::new(), at(299));
        assert_eq!(addresses.take(at(299 + 120)), None);
        addresses.update(&BTreeSet::new(), at(300));
        assert_eq!(last_byte(addresses.take(at(420))), Some(1));
    }

    #[test]
    fn the_rotation_goes_on_after_a_restart() {
        let used: BTreeSet<_> = [3, 9].map(|last| Ipv4Addr::new(10, 0, 0, last)).into();
        let mut addresses = Addresses::new(range(9), Some(Ipv4Addr::new(10, 0, 0, 9)));
        addresses.update(&used, at(0));
        let taken: Vec<_> = (0..3).map(|_| last_byte(addresses.take(at(0)))).collect();
        assert_eq!(taken, [Some(1), Some(2), Some(4)]);
        let foreign = Addresses::new(range(9), Some(Ipv4Addr::new(10, 9, 0, 1)));
        assert_eq!(foreign.next, u32::from(Ipv4Addr::new(10, 0, 0, 1)));
    }

    proptest! {
        /// Containers come and go in any order; no address is allocated while in use or within the
        /// cooldown.
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
                            prop_assert!(since.is_none_or(|time| time >= COOLDOWN.as_secs()));
                            living.push(address);
                        }
                    }
                    2 if !living.is_empty() => {
                        let address = living.swap_remove(which.index(living.len()));
                        ended.insert(address, now);
                    }
                    _ => addresses.update(&living.iter().copied().collect(), at(now)),
                }
            }
        }
    }
}
