//! The gateway of log streams, `GET /v2/read`: batches of envelopes as server-sent events.
//!
//! Callers who may not read what they name get 404, as from upstream's gateway. A stream ends after
//! 14 minutes, so that clients connect anew, and as soon as its caller may no longer read. The Go
//! client drops exactly the two lines after `event: heartbeat`, so a heartbeat has three lines.

mod query;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::access::LogAccess;
use super::envelope::Envelope;
use super::grant::{self, Grant};
use super::live::{Item, Subscription, Wanted};
use super::{Logs, warning};
use query::Invalid;

const HEARTBEAT: Duration = Duration::from_secs(15);
const LIFE: Duration = Duration::from_secs(14 * 60);
/// Envelopes of a batch. It takes two times from the queue, which gives about 512 KiB each time.
const BATCH: usize = 100;
/// How long a batch waits for more envelopes.
const BATCH_TIME: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct Gateway {
    logs: Logs,
    access: Arc<dyn LogAccess>,
}

/// The gateway's routes.
pub(super) fn routes(logs: &Logs, access: Arc<dyn LogAccess>) -> Router {
    Router::new()
        .route("/v2/read", get(read).fallback(unknown_method))
        .with_state(Gateway {
            logs: logs.clone(),
            access,
        })
}

/// The body of an error.
#[derive(Serialize)]
struct Fault {
    message: &'static str,
    error: &'static str,
}

fn refusal(status: StatusCode, error: &'static str, message: &'static str) -> Response {
    (status, Json(Fault { message, error })).into_response()
}

fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "not_found", "resource not found")
}

async fn unknown_method() -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    refusal(status, "method_not_allowed", "method not allowed")
}

async fn read(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(authorization) = authorization(&headers) else {
        return not_found();
    };
    let query = match query::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(Invalid { code, message }) => return refusal(StatusCode::BAD_REQUEST, code, message),
    };
    let grant = Grant {
        access: gateway.access,
        authorization: Some(authorization),
        sources: query.selection.sources.clone(),
    };
    if !grant.holds().await {
        return not_found();
    }
    let wanted = Wanted {
        name: "log-stream",
        selection: query.selection,
        shard: query.shard,
        is_client: true,
    };
    match gateway.logs.subscribe(wanted) {
        Ok(subscription) => events(gateway.logs, subscription, grant),
        Err(error) => {
            tracing::warn!(%error, "log stream refused");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            refusal(status, "streaming_unavailable", "streaming is unavailable")
        }
    }
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    grant::bearer(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

fn events(logs: Logs, subscription: Subscription, grant: Grant) -> Response {
    let now = Instant::now();
    let stream = EventStream {
        logs,
        subscription,
        grant,
        ends_at: now + LIFE,
        check_at: now + grant::CHECK_EVERY,
        beat_at: now + HEARTBEAT,
        is_over: false,
    };
    let frames = stream::unfold(stream, |mut stream| async {
        let frame = stream.next().await?;
        Some((Ok::<_, Infallible>(frame), stream))
    });
    let mut response = Response::new(Body::from_stream(frames));
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A stream in progress.
struct EventStream {
    logs: Logs,
    subscription: Subscription,
    grant: Grant,
    ends_at: Instant,
    check_at: Instant,
    beat_at: Instant,
    is_over: bool,
}

/// What happens next in a stream.
enum Next {
    Items(Option<Vec<Item>>),
    Heartbeat,
    Check,
    End,
}

impl EventStream {
    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        loop {
            let next = tokio::select! {
                biased;
                () = sleep_until(self.ends_at) => Next::End,
                () = sleep_until(self.check_at) => Next::Check,
                items = self.subscription.next(BATCH) => Next::Items(items),
                () = sleep_until(self.beat_at) => Next::Heartbeat,
            };
            match next {
                Next::End => {
                    self.is_over = true;
                    let text = "event: closing\ndata: closing due to stream timeout\n\n";
                    return Some(Bytes::from_static(text.as_bytes()));
                }
                Next::Check => {
                    if !self.grant.holds().await {
                        return None;
                    }
                    self.check_at = Instant::now() + grant::CHECK_EVERY;
                }
                Next::Items(items) => {
                    let batch = self.batch(items?).await;
                    self.beat_at = Instant::now() + HEARTBEAT;
                    return Some(batch);
                }
                Next::Heartbeat => {
                    self.beat_at = Instant::now() + HEARTBEAT;
                    let seconds = self.logs.now().as_seconds();
                    return Some(format!("event: heartbeat\ndata: {seconds}\n\n").into());
                }
            }
        }
    }

    /// A batch that begins with these items.
    async fn batch(&self, mut items: Vec<Item>) -> Bytes {
        if items.len() < BATCH {
            tokio::time::sleep(BATCH_TIME).await;
            items.extend(self.subscription.take(BATCH - items.len()));
        }
        let batch = items.iter().map(|item| match item {
            Item::Envelope(envelope) => envelope.clone(),
            Item::Lost(loss) => Arc::new(self.warning(*loss)),
        });
        let batch = Batch {
            batch: batch.collect(),
        };
        match serde_json::to_string(&batch) {
            Ok(json) => format!("data: {json}\n\n").into(),
            Err(error) => {
                tracing::error!(%error, "log envelopes cannot be encoded");
                Bytes::new()
            }
        }
    }

    fn warning(&self, loss: super::Loss) -> Envelope {
        let sources = self.grant.sources.as_ref();
        // A stream of several sources belongs to none of them.
        let source_id = match sources.map(|sources| (sources.len(), sources.first())) {
            Some((1, Some(only))) => only.clone(),
            _ => "log-stream".into(),
        };
        warning::lost(loss, source_id, "log-stream", self.logs.now_nanos())
    }
}

#[derive(Serialize)]
struct Batch {
    #[serde(serialize_with = "all")]
    batch: Vec<Arc<Envelope>>,
}

fn all<S: serde::Serializer>(batch: &[Arc<Envelope>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(batch.iter().map(|envelope| &**envelope))
}

#[cfg(test)]
mod tests;
