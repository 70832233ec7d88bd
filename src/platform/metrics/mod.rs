//! The platform's metrics: what instances and services reported last, requests by app, and the state
//! of the parts. They go three ways: `GET /metrics` for Prometheus, export over OTLP, and envelopes of
//! the platform's components in the log store.
//!
//! Labels are names, guids and indexes, and their number is bounded: past [`MOST`] instances, services
//! or apps the rest has no metrics of its own.

mod api;
mod envelopes;
mod families;

pub(super) use api::routes;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::names::CurrentNames;
use crate::base::guid::{AppGuid, InstanceGuid};
use crate::base::{Clock, Supervisor, Timestamp};
use crate::data_services::{Meter, ServiceUsage};
use crate::db::Db;
use crate::logs::Logs;
use crate::router::{Finished, TcpRouter};
use crate::scheduler::{Scheduler, UsageReport};

/// Most instances, services and apps with metrics of their own.
const MOST: usize = 2000;
/// What was not measured again for this long has ended.
const FRESH: Duration = Duration::from_secs(60);

/// What was measured; cheap to clone. Nothing here blocks for long.
#[derive(Clone)]
pub(super) struct Measured(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    logs: Logs,
    instances: Mutex<HashMap<InstanceGuid, UsageReport>>,
    services: Mutex<HashMap<String, (ServiceUsage, Timestamp)>>,
    requests: Mutex<HashMap<AppGuid, Requests>>,
    /// Requests to all apps by class, also of those that are gone.
    totals: [AtomicU64; 6],
}

/// Requests to one app since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Requests {
    /// By the first digit of their status; 0 = none.
    by_class: [u64; 6],
    seconds: f64,
}

/// The parts that are asked for their state.
#[derive(Clone)]
pub(super) struct PlatformMetrics {
    pub(super) measured: Measured,
    pub(super) names: CurrentNames,
    pub(super) db: Db,
    pub(super) logs: Logs,
    pub(super) supervisor: Supervisor,
    pub(super) scheduler: Scheduler,
    pub(super) tcp: TcpRouter,
    pub(super) started_at: Timestamp,
}

impl Measured {
    pub(super) fn new(clock: Arc<dyn Clock>, logs: Logs) -> Self {
        Self(Arc::new(Inner {
            clock,
            logs,
            instances: Mutex::default(),
            services: Mutex::default(),
            requests: Mutex::default(),
            totals: Default::default(),
        }))
    }

    /// An instance was measured.
    pub(super) fn instance(&self, report: &UsageReport) {
        let mut instances = lock(&self.0.instances);
        instances.retain(|_, known| report.at.since(known.at) < FRESH);
        put(&mut instances, report.instance.guid.clone(), report.clone());
    }

    /// An exchange with an app ended.
    pub(super) fn request(&self, exchange: &Finished<'_>) {
        let (start, stop) = exchange.times();
        let class = usize::from(exchange.status().unwrap_or(0) / 100).min(5);
        self.0.totals[class].fetch_add(1, Ordering::Relaxed);
        let mut requests = lock(&self.0.requests);
        if !requests.contains_key(exchange.app_guid) {
            put(
                &mut requests,
                exchange.app_guid.clone(),
                Requests::default(),
            );
        }
        if let Some(of_app) = requests.get_mut(exchange.app_guid) {
            of_app.by_class[class] += 1;
            of_app.seconds += stop.since(start).as_secs_f64();
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The fresh reports of instances, in the order of apps and indexes.
    fn instances(&self) -> Vec<UsageReport> {
        let now = self.now();
        let instances = lock(&self.0.instances);
        let fresh = instances.values().filter(|one| now.since(one.at) < FRESH);
        let mut fresh: Vec<UsageReport> = fresh.cloned().collect();
        drop(instances);
        fresh.sort_by(|a, b| {
            let key = |one: &UsageReport| {
                let of = &one.instance;
                (
                    of.app_guid.clone(),
                    of.process_type.clone(),
                    of.index,
                    of.guid.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        fresh
    }

    /// The fresh reports of services, by guid.
    fn services(&self) -> Vec<ServiceUsage> {
        let now = self.now();
        let mut services = lock(&self.0.services);
        services.retain(|_, (_, at)| now.since(*at) < FRESH);
        let mut fresh: Vec<ServiceUsage> = { services.values() }
            .map(|(usage, _)| usage.clone())
            .collect();
        drop(services);
        fresh.sort_by(|a, b| a.guid.cmp(&b.guid));
        fresh
    }

    /// Requests by app, in order.
    fn requests(&self) -> Vec<(AppGuid, Requests)> {
        let requests = lock(&self.0.requests);
        let mut all: Vec<(AppGuid, Requests)> = { requests.iter() }
            .map(|(app, of_app)| (app.clone(), *of_app))
            .collect();
        drop(requests);
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Requests to all apps by class.
    fn totals(&self) -> [u64; 6] {
        std::array::from_fn(|class| self.0.totals[class].load(Ordering::Relaxed))
    }

    /// Forgets apps that are gone.
    fn retain_apps(&self, exists: impl Fn(&AppGuid) -> bool) {
        lock(&self.0.requests).retain(|app, _| exists(app));
    }
}

impl Meter for Measured {
    fn usage(&self, usage: &ServiceUsage) {
        let mut services = lock(&self.0.services);
        put(
            &mut services,
            usage.guid.clone(),
            (usage.clone(), self.now()),
        );
        drop(services);
        envelopes::of_service(&self.0.logs, usage);
    }
}

/// Adds while there is room; what is known is replaced.
fn put<K: Eq + Hash, V>(all: &mut HashMap<K, V>, key: K, value: V) {
    if all.len() < MOST || all.contains_key(&key) {
        all.insert(key, value);
    }
}

fn lock<T>(all: &Mutex<T>) -> MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}
