//! The table of TCP routes: maps a port to its endpoints. Immutable, but for the marks of endpoints
//! and whose turn it is; [`TcpTable::adopt`] takes them over into the next table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::Timestamp;
use crate::router::endpoint::{Endpoint, EndpointState};

/// A TCP route with its current endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRoute {
    /// The port of this machine.
    pub port: u16,
    /// Endpoints of every app of the route.
    pub endpoints: Vec<Endpoint>,
}

/// The endpoints behind a port.
#[derive(Debug, Default)]
pub(super) struct TcpPool {
    endpoints: Vec<Arc<EndpointState>>,
    turn: AtomicUsize,
}

/// All ports with an endpoint.
#[derive(Debug, Default)]
pub(super) struct TcpTable {
    pools: BTreeMap<u16, TcpPool>,
}

impl TcpTable {
    /// Builds a table; a port without an endpoint is not in it.
    pub(super) fn build(routes: Vec<TcpRoute>) -> Self {
        let mut table = Self::default();
        for route in routes {
            for endpoint in route.endpoints {
                table.pools.entry(route.port).or_default().add(endpoint);
            }
        }
        table
    }

    /// This table with the marks and turns of ports that are also in `old`.
    pub(super) fn adopt(mut self, old: &Self) -> Self {
        for (port, pool) in &mut self.pools {
            let Some(known) = old.pools.get(port) else {
                continue;
            };
            pool.turn = AtomicUsize::new(known.turn.load(Ordering::Relaxed));
            for state in &mut pool.endpoints {
                let same = |other: &&Arc<EndpointState>| other.endpoint == state.endpoint;
                if let Some(found) = known.endpoints.iter().find(same) {
                    *state = found.clone();
                }
            }
        }
        self
    }

    /// Withdraws the endpoints that are not in `new`.
    pub(super) fn withdraw_missing(&self, new: &Self) {
        for (port, pool) in &self.pools {
            let kept = new.pools.get(port);
            for state in &pool.endpoints {
                let stays = kept.is_some_and(|kept| kept.has(state));
                if !stays {
                    state.withdraw();
                }
            }
        }
    }

    /// The ports that should be open.
    pub(super) fn ports(&self) -> BTreeSet<u16> {
        self.pools.keys().copied().collect()
    }

    /// What a port leads to.
    pub(super) fn pool(&self, port: u16) -> Option<&TcpPool> {
        self.pools.get(&port)
    }
}

impl TcpPool {
    fn add(&mut self, endpoint: Endpoint) {
        let key = endpoint.key();
        if { self.endpoints.iter() }.all(|known| known.endpoint.key() != key) {
            self.endpoints.push(Arc::new(EndpointState::new(endpoint)));
        }
    }

    fn has(&self, state: &Arc<EndpointState>) -> bool {
        { self.endpoints.iter() }.any(|known| Arc::ptr_eq(known, state))
    }

    /// The number of the next connection.
    pub(super) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// The endpoint for the next attempt of the connection with this turn, except those in `tried`;
    /// those that failed recently come last, since one has to answer.
    pub(super) fn choose(
        &self,
        turn: usize,
        tried: &[u64],
        now: Timestamp,
    ) -> Option<&Arc<EndpointState>> {
        let start = turn.checked_rem(self.endpoints.len())?;
        let (before, after) = self.endpoints.split_at(start);
        let mut untried =
            { after.iter().chain(before) }.filter(|state| !tried.contains(&state.number));
        let first = untried.next()?;
        if !first.is_failed(now) {
            return Some(first);
        }
        Some(untried.find(|state| !state.is_failed(now)).unwrap_or(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::endpoint::INELIGIBLE;
    use crate::router::testing::endpoint;

    fn route(port: u16, backends: &[u16]) -> TcpRoute {
        TcpRoute {
            port,
            endpoints: backends.iter().map(|port| endpoint(*port)).collect(),
        }
    }

    fn start() -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn chosen(table: &TcpTable, port: u16, tried: &[u64], now: Timestamp) -> Option<u16> {
        let pool = table.pool(port)?;
        let state = pool.choose(pool.next_turn(), tried, now)?;
        Some(state.endpoint.address.port())
    }

    #[test]
    fn connections_go_to_every_instance_in_turn_also_after_a_change() {
        let first = TcpTable::build(vec![route(61001, &[1, 2, 3])]);
        let turns: Vec<_> = (0..4)
            .map(|_| chosen(&first, 61001, &[], start()))
            .collect();
        assert_eq!(turns, [Some(1), Some(2), Some(3), Some(1)]);
        let second = TcpTable::build(vec![route(61001, &[1, 2, 3]), route(61002, &[4])]);
        let second = second.adopt(&first);
        assert_eq!(chosen(&second, 61001, &[], start()), Some(2));
        assert_eq!(chosen(&second, 61002, &[], start()), Some(4));
        assert_eq!(chosen(&second, 61003, &[], start()), None);
    }

    #[test]
    fn a_port_has_the_instances_of_all_its_apps_and_is_not_there_without_one() {
        let routes = vec![route(61001, &[1]), route(61001, &[1, 2]), route(61002, &[])];
        let table = TcpTable::build(routes);
        assert_eq!(table.ports(), BTreeSet::from([61001]));
        let turns: Vec<_> = (0..3)
            .map(|_| chosen(&table, 61001, &[], start()))
            .collect();
        assert_eq!(turns, [Some(1), Some(2), Some(1)]);
    }

    #[test]
    fn what_failed_comes_last_and_is_forgiven_and_the_marks_are_kept() {
        let old = TcpTable::build(vec![route(61001, &[1, 2])]);
        let pool = old.pool(61001).expect("pool");
        pool.endpoints[0].mark_failed(start());
        let table = TcpTable::build(vec![route(61001, &[1, 2, 3])]).adopt(&old);
        let pool = table.pool(61001).expect("pool");
        let number = |at: usize| pool.endpoints[at].number;
        let choose = |turn, tried: &[u64], now| {
            let state = pool.choose(turn, tried, now)?;
            Some(state.endpoint.address.port())
        };
        assert_eq!(choose(0, &[], start()), Some(2));
        assert_eq!(choose(0, &[number(1)], start()), Some(3));
        let most = [number(1), number(2)];
        assert_eq!(choose(0, &most, start()), Some(1));
        assert_eq!(choose(0, &[number(0), number(1), number(2)], start()), None);
        assert_eq!(choose(0, &[], start().plus(INELIGIBLE)), Some(1));
    }

    #[test]
    fn only_what_left_its_port_is_withdrawn() {
        let old = TcpTable::build(vec![route(61001, &[1, 2]), route(61002, &[3])]);
        let new = TcpTable::build(vec![route(61001, &[2, 4])]).adopt(&old);
        old.withdraw_missing(&new);
        let withdrawn = |port: u16| -> Vec<bool> {
            let pool = old.pool(port).expect("pool");
            { pool.endpoints.iter() }
                .map(|state| state.is_withdrawn())
                .collect()
        };
        assert_eq!(withdrawn(61001), [true, false]);
        assert_eq!(withdrawn(61002), [true]);
    }
}
