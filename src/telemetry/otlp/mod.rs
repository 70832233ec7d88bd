//! Export over the OpenTelemetry protocol: protobuf or JSON over HTTP, switched on by the standard
//! `OTEL_*` variables.
//!
//! Metrics are sent at intervals, log lines as they are stored. Lines wait in the log store, so a
//! collector that is down loses none before the store does; after a restart of the platform the export
//! goes on with what is new.

mod encode;
mod export;
mod settings;
#[cfg(test)]
mod tests;
mod wire;

pub use export::{ExportError, Exporter, MetricSource};
pub use settings::{Encoding, Settings, Signal};
