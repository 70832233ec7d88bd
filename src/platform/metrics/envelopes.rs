//! Metrics as envelopes: those of the platform's components, and of data services.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::PlatformMetrics;
use crate::cloud_controller::model;
use crate::data_services::ServiceUsage;
use crate::db::DbError;
use crate::logs::{Emitter, Logs};

const INTERVAL: Duration = Duration::from_secs(15);

/// The gauges of a service, under its instance's guid.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats by their format"
)]
pub(super) fn of_service(logs: &Logs, usage: &ServiceUsage) {
    let bytes = |size: u64| size as f64;
    let gauges = [
        ("cpu", "percentage", usage.cpu.map(|cores| cores * 100.0)),
        ("memory", "bytes", Some(bytes(usage.memory))),
        ("memory_quota", "bytes", Some(bytes(usage.memory_quota))),
        ("disk", "bytes", usage.disk.map(bytes)),
        ("disk_quota", "bytes", usage.disk_quota.map(bytes)),
    ];
    let known = gauges
        .into_iter()
        .filter_map(|(name, unit, value)| Some((name, unit, value?)));
    logs.emitter(&usage.guid, "0")
        .tagged([("origin", "service")])
        .gauges(known);
}

/// What was told of a counter before, so that each envelope has its growth.
#[derive(Default)]
struct Counter(u64);

impl Counter {
    fn tell(&mut self, emitter: &Emitter, name: &str, total: u64) {
        let delta = total.saturating_sub(std::mem::replace(&mut self.0, total));
        emitter.counter(name, delta, total);
    }
}

impl PlatformMetrics {
    /// Tells of the components until cancelled.
    pub(in crate::platform) async fn tell(&self, token: CancellationToken) -> Result<(), DbError> {
        let component = |name: &str| self.logs.emitter(name, "0").tagged([("origin", name)]);
        let [controller, doppler, router, cell] =
            ["cloud_controller", "doppler", "gorouter", "rep"].map(component);
        let mut requests: [Counter; 7] = Default::default();
        let mut lost = Counter::default();
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            self.tell_of_controller(&controller).await?;
            self.tell_of_logs(&doppler);
            lost.tell(&doppler, "dropped", self.logs.lost());
            self.tell_of_requests(&router, &mut requests);
            self.tell_of_cell(&cell);
        }
    }

    async fn tell_of_controller(&self, emitter: &Emitter) -> Result<(), DbError> {
        let counts = self.db.read(model::seed::counts).await?;
        let counts: Vec<(String, f64)> = { counts.as_object().into_iter().flatten() }
            .filter_map(|(name, count)| Some((name.replace(' ', "_"), count.as_f64()?)))
            .collect();
        emitter.gauges(
            counts
                .iter()
                .map(|(name, count)| (name.as_str(), "count", *count)),
        );
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are floats by their format"
    )]
    fn tell_of_logs(&self, emitter: &Emitter) {
        let meta = self.logs.meta();
        let envelopes: i64 = meta.values().map(|meta| meta.count).sum();
        emitter.gauges([
            ("sources", "count", meta.len() as f64),
            ("envelopes", "count", envelopes as f64),
        ]);
    }

    /// Requests by class; those of apps that are gone do not make the totals smaller.
    fn tell_of_requests(&self, emitter: &Emitter, before: &mut [Counter; 7]) {
        const NAMES: [&str; 6] = [
            "responses.xxx",
            "responses.1xx",
            "responses.2xx",
            "responses.3xx",
            "responses.4xx",
            "responses.5xx",
        ];
        let totals = self.measured.totals();
        for ((name, total), counter) in NAMES.iter().zip(totals).zip(before.iter_mut()) {
            counter.tell(emitter, name, total);
        }
        before[6].tell(emitter, "total_requests", totals.iter().sum());
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are floats by their format"
    )]
    fn tell_of_cell(&self, emitter: &Emitter) {
        let instances = self.measured.instances();
        let memory: u64 = instances.iter().map(|one| one.usage.memory).sum();
        let cores: f64 = instances.iter().map(|one| one.usage.cpu).sum();
        emitter.gauges([
            ("ContainerCount", "count", instances.len() as f64),
            ("ContainerUsageMemory", "bytes", memory as f64),
            ("ContainerUsageCPU", "percentage", cores * 100.0),
        ]);
    }
}
