//! Chooses the endpoint of a pool for the next attempt. Pure except for the marks on the endpoints.
//!
//! A sticky session goes to its instance first, whatever the algorithm and even if the instance is
//! marked as failed. An instance with as many requests as it may have gets no other.
//!
//! Decisions: least-connection ignores failed marks, as on a real router; if all endpoints of a
//! pool failed, their marks are cleared at once, since one has to answer.

use std::sync::Arc;

use crate::base::Timestamp;

use super::endpoint::EndpointState;
use super::hashing::Hashing;
use super::table::{LoadBalancing, Pool};

/// The target of a request with `X-CF-App-Instance` or `X-CF-Process-Instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `X-CF-App-Instance: guid:index`.
    AppInstance { guid: String, index: u32 },
    /// `X-CF-Process-Instance: guid` or `guid:index`.
    ProcessInstance { guid: String, index: Option<u32> },
}

impl Target {
    /// `uuid:digits`, in lower-case hexadecimal.
    pub(crate) fn parse_app_instance(text: &str) -> Option<Self> {
        let (guid, index) = text.split_once(':')?;
        let index = parse_index(index)?;
        is_uuid(guid).then(|| Self::AppInstance {
            guid: guid.to_owned(),
            index,
        })
    }

    /// `uuid` or `uuid:digits`.
    pub(crate) fn parse_process_instance(text: &str) -> Option<Self> {
        let (guid, index) = match text.split_once(':') {
            Some((guid, index)) => (guid, Some(parse_index(index)?)),
            None => (text, None),
        };
        is_uuid(guid).then(|| Self::ProcessInstance {
            guid: guid.to_owned(),
            index,
        })
    }

    pub(crate) fn matches(&self, state: &EndpointState) -> bool {
        let endpoint = &state.endpoint;
        match self {
            Self::AppInstance { guid, index } => {
                endpoint.app_guid.as_str() == guid && endpoint.index == *index
            }
            Self::ProcessInstance { guid, index } => {
                endpoint.process_guid.as_str() == guid
                    && index.is_none_or(|index| endpoint.index == index)
            }
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

fn parse_index(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// What of a request decides where it goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'r> {
    /// The instances that it names.
    pub(crate) target: Option<&'r Target>,
    /// The instance of its session.
    pub(crate) sticky: Option<&'r str>,
    /// Of the header by which the pool balances.
    pub(crate) hash: Option<u64>,
    /// Requests that an instance may have at a time.
    pub(crate) limit: Option<u32>,
}

/// The endpoint for the next attempt, except those in `tried`.
pub(crate) fn choose(
    pool: &Pool,
    asked: Asked<'_>,
    tried: &[u64],
    now: Timestamp,
) -> Option<Arc<EndpointState>> {
    let usable = |state: &EndpointState| {
        !state.is_withdrawn()
            && !tried.contains(&state.number)
            && asked.target.is_none_or(|target| target.matches(state))
            && !is_overloaded(state, asked.limit)
    };
    if let Some(guid) = asked.sticky.filter(|_| tried.is_empty())
        && let Some(state) = pool
            .endpoints
            .iter()
            .find(|state| state.endpoint.instance_guid.as_str() == guid && usable(state))
    {
        return Some(state.clone());
    }
    match (&pool.options.load_balancing, asked.hash) {
        (LoadBalancing::LeastConnection, _) => least_connection(pool, usable),
        (LoadBalancing::Hash(hashing), Some(hash)) => by_hash(pool, hashing, hash, usable, now),
        (LoadBalancing::RoundRobin | LoadBalancing::Hash(_), _) => round_robin(pool, usable, now),
    }
}

/// Whether an endpoint has as many requests as it may have.
pub(crate) fn is_overloaded(state: &EndpointState, limit: Option<u32>) -> bool {
    limit.is_some_and(|limit| state.in_flight() >= limit)
}

fn round_robin(
    pool: &Pool,
    usable: impl Fn(&EndpointState) -> bool,
    now: Timestamp,
) -> Option<Arc<EndpointState>> {
    let count = pool.endpoints.len();
    let start = pool.next_turn();
    let mut failed = None;
    for step in 0..count {
        let state = &pool.endpoints[start.wrapping_add(step) % count];
        if !usable(state) {
            continue;
        }
        if !state.is_failed(now) {
            return Some(state.clone());
        }
        failed = failed.or(Some(state));
    }
    if failed.is_some() {
        pool.endpoints
            .iter()
            .for_each(|state| state.clear_failure());
    }
    failed.cloned()
}

fn least_connection(
    pool: &Pool,
    usable: impl Fn(&EndpointState) -> bool,
) -> Option<Arc<EndpointState>> {
    let count = pool.endpoints.len();
    let start = pool.next_turn();
    (0..count)
        .map(|step| &pool.endpoints[start.wrapping_add(step) % count])
        .filter(|state| usable(state))
        .min_by_key(|state| state.in_flight())
        .cloned()
}

/// Instances that failed or have more than their share of the requests are passed over, unless there
/// is no other.
fn by_hash(
    pool: &Pool,
    hashing: &Hashing,
    hash: u64,
    usable: impl Fn(&EndpointState) -> bool,
    now: Timestamp,
) -> Option<Arc<EndpointState>> {
    let requests = |state: &Arc<EndpointState>| u64::from(state.in_flight());
    let (all, count) = (
        pool.endpoints.iter().map(requests).sum::<u64>(),
        pool.endpoints.len() as u64,
    );
    let balance = u64::from(hashing.balance);
    let is_above =
        |state: &Arc<EndpointState>| balance > 0 && requests(state) * count * 10 > balance * all;
    let usable = || {
        let each = pool.slots().from(hash).map(|at| &pool.endpoints[at]);
        each.filter(|state| usable(state))
    };
    let healthy = || usable().filter(|state| !state.is_failed(now));
    let found = healthy().find(|state| !is_above(state));
    found
        .or_else(|| healthy().next())
        .or_else(|| usable().next())
        .cloned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::table::{RouteOptions, Table};
    use super::super::testing::{endpoint, route};
    use super::*;

    const GUID: &str = "0f7a3c2e-1111-4222-8333-abcdefabcdef";

    fn ports(pool: &Pool, count: usize, now: Timestamp) -> Vec<u16> {
        (0..count)
            .filter_map(|_| choose(pool, Asked::default(), &[], now))
            .map(|state| state.endpoint.address.port())
            .collect()
    }

    fn pool_of(load_balancing: LoadBalancing, count: u16) -> Arc<Pool> {
        let mut route = route("app.example", "", (1..=count).map(endpoint).collect());
        route.options = RouteOptions { load_balancing };
        let table = Table::build(vec![route]);
        table.find("app.example", "/").unwrap().clone()
    }

    #[test]
    fn round_robin_rotates_strictly_and_skips_failed_endpoints() {
        let now = Timestamp::from_micros(0);
        let pool = pool_of(LoadBalancing::RoundRobin, 3);
        assert_eq!(ports(&pool, 6, now), [1, 2, 3, 1, 2, 3]);
        pool.endpoints[1].mark_failed(now);
        assert!(!ports(&pool, 9, now).contains(&2));
        let later = now.plus(AFTER_INELIGIBLE);
        assert!(ports(&pool, 3, later).contains(&2));
    }

    const AFTER_INELIGIBLE: std::time::Duration = std::time::Duration::from_secs(31);

    #[test]
    fn the_marks_of_a_completely_failed_pool_are_cleared() {
        let now = Timestamp::from_micros(0);
        let pool = pool_of(LoadBalancing::RoundRobin, 2);
        pool.endpoints
            .iter()
            .for_each(|state| state.mark_failed(now));
        assert_eq!(ports(&pool, 1, now).len(), 1);
        assert!(pool.endpoints.iter().all(|state| !state.is_failed(now)));
    }

    #[test]
    fn least_connection_takes_the_idle_one() {
        let now = Timestamp::from_micros(0);
        let pool = pool_of(LoadBalancing::LeastConnection, 3);
        pool.endpoints[0].begin();
        pool.endpoints[1].begin();
        assert_eq!(ports(&pool, 4, now), [3, 3, 3, 3]);
        pool.endpoints[0].end();
        pool.endpoints[2].begin();
        assert_eq!(ports(&pool, 2, now), [1, 1]);
    }

    #[test]
    fn tried_endpoints_are_skipped() {
        let now = Timestamp::from_micros(0);
        let pool = pool_of(LoadBalancing::RoundRobin, 2);
        let tried = [pool.endpoints[0].number];
        for _ in 0..4 {
            let chosen = choose(&pool, Asked::default(), &tried, now).unwrap();
            assert_eq!(chosen.endpoint.address.port(), 2);
        }
        let all: Vec<u64> = pool.endpoints.iter().map(|state| state.number).collect();
        assert!(choose(&pool, Asked::default(), &all, now).is_none());
    }

    #[test]
    fn a_session_goes_to_its_instance_until_that_was_tried_or_is_gone() {
        let now = Timestamp::from_micros(0);
        for algorithm in [LoadBalancing::RoundRobin, LoadBalancing::LeastConnection] {
            let pool = pool_of(algorithm, 3);
            let choose_sticky = |sticky: &str, tried: &[u64]| {
                let asked = Asked {
                    sticky: Some(sticky),
                    ..Asked::default()
                };
                let state = choose(&pool, asked, tried, now).unwrap();
                state.endpoint.address.port()
            };
            pool.endpoints[1].mark_failed(now);
            pool.endpoints[1].begin();
            for _ in 0..4 {
                assert_eq!(choose_sticky("instance-2", &[]), 2);
                assert_ne!(choose_sticky("instance-2", &[pool.endpoints[1].number]), 2);
                assert_ne!(choose_sticky("gone", &[]), 2);
            }
        }
    }

    #[test]
    fn withdrawn_endpoints_are_skipped() {
        let now = Timestamp::from_micros(0);
        for balancing in [LoadBalancing::RoundRobin, LoadBalancing::LeastConnection] {
            let pool = pool_of(balancing, 2);
            pool.endpoints[0].withdraw();
            assert_eq!(ports(&pool, 3, now), [2, 2, 2]);
            pool.endpoints[1].withdraw();
            assert!(ports(&pool, 1, now).is_empty());
        }
    }

    #[test]
    fn a_hash_leads_to_one_instance_until_it_cannot_take_the_request() {
        let now = Timestamp::from_micros(0);
        let of = |balance| {
            let header = http::header::HOST;
            pool_of(LoadBalancing::Hash(Hashing { header, balance }), 4)
        };
        let ask = |pool: &Pool, hash: u64, tried: &[u64]| {
            let asked = Asked {
                hash: Some(hash),
                limit: Some(9),
                ..Asked::default()
            };
            choose(pool, asked, tried, now).unwrap()
        };
        let pool = of(0);
        let first = ask(&pool, 77, &[]);
        assert!((0..9).all(|_| Arc::ptr_eq(&ask(&pool, 77, &[]), &first)));
        let reached = (0..200).map(|hash| ask(&pool, hash * 37, &[]).number);
        assert_eq!(reached.collect::<BTreeSet<_>>().len(), 4);
        let second = ask(&pool, 77, &[first.number]);
        assert_ne!(second.number, first.number);
        // The same as after a failure, and when it has as many requests as it may have.
        first.mark_failed(now);
        assert_eq!(ask(&pool, 77, &[]).number, second.number);
        first.clear_failure();
        (0..8).for_each(|_| first.begin());
        assert_eq!(ask(&pool, 77, &[]).number, first.number);
        first.begin();
        assert_eq!(ask(&pool, 77, &[]).number, second.number);
        // With a balance: when it has more than twice the average.
        let pool = of(20);
        let first = ask(&pool, 77, &[]);
        first.begin();
        assert_ne!(ask(&pool, 77, &[]).number, first.number);
        pool.endpoints.iter().for_each(|state| state.begin());
        assert_eq!(ask(&pool, 77, &[]).number, first.number);
        // Without the header: as without the option.
        assert_eq!(ports(&pool, 4, now), [1, 2, 3, 4]);
    }

    #[test]
    fn an_instance_with_as_many_requests_as_it_may_have_gets_no_other() {
        let now = Timestamp::from_micros(0);
        let asked = Asked {
            limit: Some(1),
            sticky: Some("instance-1"),
            ..Asked::default()
        };
        for balancing in [LoadBalancing::RoundRobin, LoadBalancing::LeastConnection] {
            let pool = pool_of(balancing, 2);
            pool.endpoints[0].begin();
            let chosen = choose(&pool, asked, &[], now).unwrap();
            assert_eq!(chosen.endpoint.address.port(), 2);
            pool.endpoints[1].begin();
            assert!(choose(&pool, asked, &[], now).is_none());
        }
    }

    #[test]
    fn instance_headers_are_parsed_strictly() {
        let good = [format!("{GUID}:0"), format!("{GUID}:12")];
        for text in good {
            assert!(Target::parse_app_instance(&text).is_some(), "{text}");
            assert!(Target::parse_process_instance(&text).is_some(), "{text}");
        }
        let upper = GUID.to_uppercase();
        let bad = [
            String::new(),
            ":1".to_owned(),
            format!("{GUID}:"),
            format!("{GUID}:-1"),
            format!("{GUID}:1:2"),
            format!("{upper}:1"),
            "not-a-guid:1".to_owned(),
        ];
        for text in bad {
            assert_eq!(Target::parse_app_instance(&text), None, "{text}");
            assert_eq!(Target::parse_process_instance(&text), None, "{text}");
        }
        assert!(Target::parse_app_instance(GUID).is_none());
        assert!(Target::parse_process_instance(GUID).is_some());
    }
}
