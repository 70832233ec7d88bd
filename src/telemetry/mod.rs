//! What the platform tells of itself: metrics as Prometheus and OTLP have them, log lines as OTLP has
//! them, and its own log.
//!
//! [`Family`] is the one form of a metric: `platform::metrics` collects families, [`exposition`] writes
//! them as text for Prometheus, [`otlp`] sends them. [`own_log`] sets up `tracing` and keeps the file
//! small.
//!
//! Invariants: labels are bounded (names and indexes, never parts of requests), and exporting never
//! holds up what it tells of.
//!
//! Decisions: OTLP has messages of our own, because the opentelemetry crates bring a second HTTP and
//! metrics stack for a few dozen structs; `prost` is there for the older log streams anyway.

pub mod exposition;
pub mod otlp;
pub mod own_log;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows while the process runs.
    Counter,
    /// A value that rises and falls.
    Gauge,
}

/// Samples of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name, with its unit; that of a counter ends with `_total`.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its values, each with other labels.
    pub samples: Vec<Sample>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Labels.
    pub labels: Labels,
    /// Value.
    pub value: f64,
}

/// Names and values of labels.
pub type Labels = Vec<(&'static str, String)>;

impl Family {
    /// A gauge without samples.
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, help)
    }

    /// A counter without samples.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Counter, name, help)
    }

    fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind,
            samples: Vec::new(),
        }
    }

    /// With a value without labels.
    #[must_use]
    pub fn with(mut self, value: f64) -> Self {
        self.push(Vec::new(), value);
        self
    }

    /// Adds a value.
    pub fn push(&mut self, labels: Labels, value: f64) {
        self.samples.push(Sample { labels, value });
    }
}
