//! The route table: maps a host and a path to a pool of endpoints. Pure.
//!
//! A table is built from the routes and the running instances, and swapped in atomically; it is
//! immutable. Only the marks inside an [`EndpointState`] (failed until, requests in flight) and a
//! pool's turn change, and [`Table::adopt`] transfers them to the next table.
//!
//! Rules, in order:
//! 1. hosts and paths match without regard to case, a port in the host is ignored;
//! 2. on the exact host the longest registered path wins, by whole segments; an empty pool yields
//!    to a shorter one that has endpoints; when none has, the deepest one decides;
//! 3. when the exact host has no matching path, its leftmost label is replaced by `*`, then the
//!    next, so that `*.wild.example` answers for `a.b.wild.example`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::base::guid::AppGuid;

use super::endpoint::{Endpoint, EndpointKey, EndpointState};
use super::hashing::{Hashing, Slots};
use super::service_url::RouteService;

/// How a pool spreads requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LoadBalancing {
    /// Strict rotation.
    #[default]
    RoundRobin,
    /// The endpoint with the fewest requests waiting for their response.
    LeastConnection,
    /// The same endpoint for the same value of a header; strict rotation without one.
    Hash(Hashing),
}

/// The route options that the router supports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteOptions {
    /// How requests are spread over the endpoints.
    pub load_balancing: LoadBalancing,
}

/// One route with its current endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Full host name, `*.` in front for a wildcard.
    pub host: String,
    /// Context path, empty or starting with `/`.
    pub path: String,
    /// The app whose log gets requests that no endpoint could serve.
    pub app_guid: AppGuid,
    /// Options of the route.
    pub options: RouteOptions,
    /// Where its requests go first.
    pub service: Option<Arc<RouteService>>,
    /// Endpoints of every app of the route.
    pub endpoints: Vec<Endpoint>,
}

/// The endpoints of one route.
#[derive(Debug)]
pub struct Pool {
    /// The app whose log gets requests that no endpoint could serve.
    pub app_guid: AppGuid,
    /// Options of the route.
    pub options: RouteOptions,
    /// Where its requests go first.
    pub service: Option<Arc<RouteService>>,
    /// The route's host, lower case.
    pub(crate) host: Box<str>,
    /// The route's path, `/` if empty; the path of the router's cookies.
    pub(crate) context_path: Box<str>,
    /// The endpoints.
    pub endpoints: Vec<Arc<EndpointState>>,
    turn: AtomicUsize,
    /// Made when they are first needed.
    slots: OnceLock<Slots>,
}

impl Pool {
    /// The next number in the rotation.
    pub(crate) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Which endpoint has which slot, for a pool that balances by hash.
    pub(crate) fn slots(&self) -> &Slots {
        self.slots.get_or_init(|| {
            let each = self.endpoints.iter();
            let instances: Vec<&str> = each
                .map(|state| state.endpoint.instance_guid.as_str())
                .collect();
            Slots::of(&instances)
        })
    }
}

#[derive(Debug, Default)]
struct Node {
    pool: Option<Arc<Pool>>,
    children: HashMap<String, Node>,
}

/// An immutable route table.
#[derive(Debug, Default)]
pub struct Table {
    hosts: HashMap<String, Node>,
    endpoints: HashMap<EndpointKey, Arc<EndpointState>>,
    numbers: HashSet<u64>,
}

impl Table {
    /// Builds a table. Routes with the same host and path become one pool with the options of the
    /// last one.
    pub fn build(routes: Vec<Route>) -> Self {
        let mut table = Self::default();
        for route in routes {
            table.add(route);
        }
        table.index_numbers();
        table
    }

    /// This table with the marks of endpoints and pools that are also in `old`.
    #[must_use]
    pub fn adopt(mut self, old: &Self) -> Self {
        for (key, state) in &mut self.endpoints {
            if let Some(known) = old.endpoints.get(key)
                && known.endpoint == state.endpoint
            {
                *state = known.clone();
            }
        }
        self.index_numbers();
        for (host, node) in &mut self.hosts {
            node.adopt(old.hosts.get(host), &self.endpoints);
        }
        self
    }

    /// The pool for a request, by its `Host` (with port and in any case) and path. `None`: no such
    /// route. An empty pool: the route exists but has no endpoints.
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Pool>> {
        let host = plain_host(host);
        if let Some(pool) = self.find_on(&host, path) {
            return Some(pool);
        }
        let mut rest = &*host;
        let mut pattern = String::with_capacity(host.len() + 1);
        while let Some((_, suffix)) = rest.split_once('.') {
            pattern.clear();
            pattern.push_str("*.");
            pattern.push_str(suffix);
            if let Some(pool) = self.find_on(&pattern, path) {
                return Some(pool);
            }
            rest = suffix;
        }
        None
    }

    /// Withdraws the endpoints that are not in `new`.
    pub(crate) fn withdraw_missing(&self, new: &Self) {
        for state in self.endpoints.values() {
            if !new.contains(state.number) {
                state.withdraw();
            }
        }
    }

    /// Whether the endpoint with this number is part of the table.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    /// Number of distinct endpoints.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    fn index_numbers(&mut self) {
        self.numbers = self.endpoints.values().map(|state| state.number).collect();
    }

    fn find_on(&self, host: &str, path: &str) -> Option<&Arc<Pool>> {
        let node = self.hosts.get(host)?;
        if node.children.is_empty() {
            return node.pool.as_ref();
        }
        node.find(&normalize_path(path))
    }

    fn add(&mut self, route: Route) {
        let host = plain_host(&route.host).into_owned();
        let mut node = self.hosts.entry(host.clone()).or_default();
        for segment in segments(&normalize_path(&route.path)) {
            node = node.children.entry(segment.to_owned()).or_default();
        }
        let mut endpoints = node
            .pool
            .take()
            .map_or_else(Vec::new, |pool| pool.endpoints.clone());
        for endpoint in route.endpoints {
            let state = self
                .endpoints
                .entry(endpoint.key())
                .or_insert_with(|| Arc::new(EndpointState::new(endpoint)));
            if !endpoints.iter().any(|known| Arc::ptr_eq(known, state)) {
                endpoints.push(state.clone());
            }
        }
        node.pool = Some(Arc::new(Pool {
            app_guid: route.app_guid,
            options: route.options,
            service: route.service,
            host: host.into(),
            context_path: match route.path.as_str() {
                "" => "/".into(),
                path => path.into(),
            },
            endpoints,
            turn: AtomicUsize::new(0),
            slots: OnceLock::new(),
        }));
    }
}

impl Node {
    fn find(&self, path: &str) -> Option<&Arc<Pool>> {
        let mut node = self;
        let mut deepest = node.pool.as_ref();
        let mut filled = deepest.filter(|pool| !pool.endpoints.is_empty());
        for segment in segments(path) {
            let Some(child) = node.children.get(segment) else {
                break;
            };
            node = child;
            if let Some(pool) = &node.pool {
                deepest = Some(pool);
                if !pool.endpoints.is_empty() {
                    filled = Some(pool);
                }
            }
        }
        filled.or(deepest)
    }

    fn adopt(&mut self, old: Option<&Self>, states: &HashMap<EndpointKey, Arc<EndpointState>>) {
        if let Some(pool) = &mut self.pool {
            let turn = old
                .and_then(|node| node.pool.as_ref())
                .map_or(0, |pool| pool.turn.load(Ordering::Relaxed));
            let endpoints = pool
                .endpoints
                .iter()
                .map(|state| states.get(&state.endpoint.key()).unwrap_or(state).clone())
                .collect();
            *pool = Arc::new(Pool {
                app_guid: pool.app_guid.clone(),
                options: pool.options.clone(),
                service: pool.service.clone(),
                host: pool.host.clone(),
                context_path: pool.context_path.clone(),
                endpoints,
                turn: AtomicUsize::new(turn),
                slots: OnceLock::new(),
            });
        }
        for (segment, child) in &mut self.children {
            child.adopt(old.and_then(|node| node.children.get(segment)), states);
        }
    }
}

/// Lower case, without port.
pub(super) fn plain_host(host: &str) -> Cow<'_, str> {
    let host = host.split_once(':').map_or(host, |(name, _)| name);
    lower(host)
}

/// Lower case, without query and without one trailing slash.
fn normalize_path(path: &str) -> Cow<'_, str> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    lower(path.strip_suffix('/').unwrap_or(path))
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    inner.split('/').take_while(move |_| !inner.is_empty())
}

#[cfg(test)]
mod tests;
