//! Sends metrics and log lines.
//!
//! One worker for each: a slow collector of one kind does not hold up the other. What failed is sent
//! again; what the collector refuses for good is given up, so that it cannot block what comes after.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use reqwest::Client;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::encode;
use super::settings::{Encoding, Settings, Signal};
use crate::base::{Backoff, Clock, Supervisor, Timestamp};
use crate::logs::{Envelope, Kinds, Logs, Query, showable_drain as showable};
use crate::net::http_client;
use crate::telemetry::Family;

const RETRIES: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
};

/// Why an export cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The certificate of the collector's authority.
    #[error("cannot use the certificate in {path}: {reason}")]
    Certificate {
        /// Its file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The platform's metrics.
#[async_trait]
pub trait MetricSource: Send + Sync + 'static {
    /// As they are now.
    async fn families(&self) -> Vec<Family>;
}

/// Exports what `settings` say; cheap to clone.
#[derive(Clone)]
pub struct Exporter(Arc<Inner>);

struct Inner {
    settings: Settings,
    logs: Logs,
    metrics: Arc<dyn MetricSource>,
    clock: Arc<dyn Clock>,
    /// When the counters began.
    started_at: Timestamp,
}

/// How a request ended.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    /// The collector has it, or will never take it.
    Done,
    /// To be tried again.
    Again,
}

/// What one request has.
struct Round {
    batches: Vec<(String, Vec<Envelope>)>,
    /// What will have been sent with it.
    sent: HashMap<String, i64>,
    /// Whether there are more lines.
    is_full: bool,
    /// The source that took the last place; the next round begins behind it, so that one source
    /// with many lines does not hold up the others.
    stopped_at: Option<String>,
}

/// Sends to one place.
struct Channel {
    client: Client,
    signal: Signal,
    /// Its URL without secrets.
    shown: String,
    /// Whether the last request failed, which is told once.
    failing: bool,
}

impl Exporter {
    /// An exporter that is not started yet.
    pub fn new(
        settings: Settings,
        logs: Logs,
        metrics: Arc<dyn MetricSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Inner {
            settings,
            logs,
            metrics,
            started_at: clock.now(),
            clock,
        }))
    }

    /// Starts its workers.
    pub fn start(&self, supervisor: &Supervisor) {
        if let Some(signal) = self.0.settings.metrics.clone() {
            let this = self.clone();
            supervisor.worker("export of metrics", move |token| {
                let (this, signal) = (this.clone(), signal.clone());
                async move { this.0.send_metrics(Channel::new(signal)?, token).await }
            });
        }
        if let Some(signal) = self.0.settings.logs.clone() {
            let this = self.clone();
            supervisor.worker("export of log lines", move |token| {
                let (this, signal) = (this.clone(), signal.clone());
                async move { this.0.send_logs(Channel::new(signal)?, token).await }
            });
        }
    }
}

impl Inner {
    async fn send_metrics(
        &self,
        mut channel: Channel,
        token: CancellationToken,
    ) -> Result<(), ExportError> {
        let mut ticks = tokio::time::interval(self.settings.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let families = self.metrics.families().await;
            let times = (self.started_at.as_nanos(), self.clock.now().as_nanos());
            let body = encode::metrics(&self.settings.resource, &families, times);
            // Values that were not delivered are old by the next time.
            channel.send(&body).await;
        }
    }

    async fn send_logs(
        &self,
        mut channel: Channel,
        token: CancellationToken,
    ) -> Result<(), ExportError> {
        let newest = self.logs.meta().into_iter();
        let mut sent: HashMap<String, i64> = newest
            .map(|(source_id, meta)| (source_id, meta.newest))
            .collect();
        let mut stopped_at: Option<String> = None;
        let mut retries = RETRIES.pauses();
        loop {
            let round = self.next_lines(&sent, stopped_at.as_deref()).await;
            let outcome = if round.batches.is_empty() {
                Sent::Done
            } else {
                let now = self.clock.now().as_nanos();
                let body = encode::logs(&self.settings.resource, &round.batches, now);
                channel.send(&body).await
            };
            let pause = match outcome {
                Sent::Done => {
                    retries.reset();
                    (sent, stopped_at) = (round.sent, round.stopped_at);
                    if round.is_full {
                        Duration::ZERO
                    } else {
                        self.settings.delay
                    }
                }
                Sent::Again => retries.pause(),
            };
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Lines after those that were sent, beginning with the source behind this one.
    async fn next_lines(&self, sent: &HashMap<String, i64>, behind: Option<&str>) -> Round {
        let mut round = Round {
            batches: Vec::new(),
            sent: HashMap::new(),
            is_full: false,
            stopped_at: None,
        };
        let mut room = self.settings.batch;
        let mut sources: Vec<_> = self.logs.meta().into_iter().collect();
        turn(&mut sources, behind);
        for (source_id, meta) in sources {
            let start = sent.get(&source_id).copied().unwrap_or(i64::MIN);
            if meta.newest <= start || room == 0 {
                round.is_full |= meta.newest > start;
                round.sent.insert(source_id, start);
                continue;
            }
            let query = Query {
                start: start.saturating_add(1),
                end: meta.newest.saturating_add(1),
                limit: room,
                kinds: Kinds::LOG,
                ..Query::default()
            };
            let Ok(found) = self.logs.read(&source_id, query).await else {
                round.sent.insert(source_id, start);
                continue;
            };
            // A batch that is full may have left lines behind.
            let last = if found.len() < room {
                meta.newest
            } else {
                round.is_full = true;
                round.stopped_at = Some(source_id.clone());
                found.last().map_or(meta.newest, |last| last.timestamp)
            };
            room -= found.len();
            round.sent.insert(source_id.clone(), last);
            if !found.is_empty() {
                round.batches.push((source_id, found));
            }
        }
        round
    }
}

/// Moves the sources behind one to the front; they are in order of name.
fn turn<T>(sources: &mut [(String, T)], behind: Option<&str>) {
    if let Some(behind) = behind {
        let first = sources.partition_point(|(source_id, _)| source_id.as_str() <= behind);
        sources.rotate_left(first);
    }
}

impl Channel {
    fn new(signal: Signal) -> Result<Self, ExportError> {
        let plain = signal.url.scheme() == "http";
        let mut builder = if plain {
            http_client::plain()
        } else {
            http_client::builder()
        };
        if let Some(path) = signal.certificate.clone() {
            let fault = |reason: String| ExportError::Certificate {
                path: path.clone(),
                reason,
            };
            let pem = std::fs::read(&path).map_err(|error| fault(error.to_string()))?;
            let root = reqwest::Certificate::from_pem(&pem);
            let root = root.map_err(|error| fault(error.to_string()))?;
            builder = builder.add_root_certificate(root);
        }
        Ok(Self {
            client: builder.timeout(signal.timeout).build()?,
            shown: showable(signal.url.as_str()),
            signal,
            failing: false,
        })
    }

    async fn send(&mut self, body: &(impl prost::Message + Serialize)) -> Sent {
        let outcome = self.request(body).await;
        let url = self.shown.as_str();
        match outcome {
            Ok(status) if status.is_success() => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(url, "the collector takes data again");
                }
                Sent::Done
            }
            Ok(status) if is_passing(status) => {
                self.failed(&format!("it answered {status}"));
                Sent::Again
            }
            Ok(status) => {
                tracing::warn!(url, %status, "the collector refused data; dropped");
                Sent::Done
            }
            Err(error) => {
                self.failed(&error);
                Sent::Again
            }
        }
    }

    fn failed(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            let url = self.shown.as_str();
            tracing::warn!(url, error = why, "the collector takes no data; retrying");
        }
    }

    async fn request(
        &self,
        body: &(impl prost::Message + Serialize),
    ) -> Result<StatusCode, String> {
        let mut request = self.client.post(self.signal.url.clone());
        for (name, value) in &self.signal.headers {
            request = request.header(name, value.expose());
        }
        let (kind, body) = match self.signal.encoding {
            Encoding::Protobuf => ("application/x-protobuf", body.encode_to_vec()),
            Encoding::Json => {
                let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
                ("application/json", body)
            }
        };
        request = request.header("content-type", kind);
        let request = if self.signal.gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            let written = encoder.write_all(&body).and_then(|()| encoder.finish());
            let body = written.map_err(|error| error.to_string())?;
            request.header("content-encoding", "gzip").body(body)
        } else {
            request.body(body)
        };
        let response = request.send().await;
        let response = response.map_err(|error| error.without_url().to_string())?;
        Ok(response.status())
    }
}

/// Whether the collector may take the same later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_begins_behind_the_source_where_the_last_one_stopped() {
        let order = |behind: Option<&str>| -> String {
            let mut sources = ["a", "b", "c"].map(|name| (name.to_owned(), ()));
            turn(&mut sources, behind);
            sources.into_iter().map(|(name, ())| name).collect()
        };
        for (behind, expected) in [
            (None, "abc"),
            (Some("a"), "bca"),
            (Some("aa"), "bca"),
            (Some("c"), "abc"),
        ] {
            assert_eq!(order(behind), expected);
        }
    }
}
