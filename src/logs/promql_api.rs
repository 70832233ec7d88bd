//! `/api/v1/query` and `/api/v1/query_range`: PromQL over the sources that the caller may read.
//!
//! Errors are Prometheus': 400 `bad_data` for what is no query here, 500 `internal` for the rest; 404
//! without a body when the caller may not read one of the sources.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};

use super::access::{Api, authorization};
use super::promql::{
    self, Answer, Collected, Collector, Fault, Instants, Query as PromQuery, Selector,
};
use super::query::Query;
use crate::base::Timestamp;
use crate::base::blocking::{Bounds, WorkQueue};

/// How long a query may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Envelopes that are read at once.
const PAGE: usize = 10_000;
const BOUNDS: Bounds = Bounds {
    at_once: 2,
    waiting: 32,
    timeout: TIMEOUT,
};

pub(super) fn work_queue() -> WorkQueue {
    WorkQueue::new("PromQL", BOUNDS)
}

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/query", get(instant))
        .route("/api/v1/query_range", get(range))
}

async fn instant(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    respond(&api, &headers, query.as_deref(), |parameters, now| {
        Ok(Instants::At(match parameters.get("time") {
            None => now.as_micros().div_euclid(1_000_000) * 1000,
            Some(text) => time("time", text)?,
        }))
    })
    .await
}

async fn range(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    respond(&api, &headers, query.as_deref(), |parameters, _| {
        let text = |name: &str| parameters.get(name).map_or("", String::as_str);
        let step = step(text("step"))?;
        let (from, to) = (time("start", text("start"))?, time("end", text("end"))?);
        Instants::every(from, to, step)
    })
    .await
}

type Parameters = HashMap<String, String>;

async fn respond(
    api: &Api,
    headers: &HeaderMap,
    query: Option<&str>,
    instants: impl FnOnce(&Parameters, Timestamp) -> Result<Instants, Fault>,
) -> Response {
    let Some(bearer) = authorization(headers) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let parameters = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let parameters: Parameters = parameters.into_owned().collect();
    let text = parameters.get("query").map_or("", String::as_str);
    let query = match promql::parse(text) {
        Ok(query) => query,
        Err(fault) => return fault.into_response(),
    };
    let Some(query) = permitted(api, bearer, query).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let instants = match instants(&parameters, api.logs.now()) {
        Ok(instants) => instants,
        Err(fault) => return fault.into_response(),
    };
    match answer(api, query, instants).await {
        Ok(answer) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, promql::render(&answer)).into_response()
        }
        Err(fault) => fault.into_response(),
    }
}

/// The query with the guids that the caller may read in place of each source; nothing when there are
/// none for one of them.
async fn permitted(api: &Api, bearer: &str, mut query: PromQuery) -> Option<PromQuery> {
    let mut guids: HashMap<String, Vec<String>> = HashMap::new();
    for source in query.sources() {
        let mut found = api.access.named(Some(bearer), &source).await;
        if api.access.readable(Some(bearer), &source).await {
            found.push(source.clone());
        }
        if found.is_empty() {
            return None;
        }
        guids.insert(source, found);
    }
    for selector in &mut query.selectors {
        let sources = std::mem::take(&mut selector.sources);
        let expanded = sources.iter().filter_map(|source| guids.get(source));
        selector.sources = expanded.flatten().cloned().collect();
        selector.sources.sort();
        selector.sources.dedup();
    }
    Some(query)
}

async fn answer(api: &Api, query: PromQuery, instants: Instants) -> Result<Answer, Fault> {
    let stopped = Arc::new(AtomicBool::new(false));
    let work = async {
        // Before anything is read: few queries are in memory at once.
        let slot = api.logs.queries().enter().await;
        let slot = slot.map_err(|error| Fault::Internal(error.to_string()))?;
        let data = read(api, &query, instants).await?;
        let seen = stopped.clone();
        let evaluated = slot.run(move || {
            let stopped = || seen.load(Ordering::Relaxed);
            promql::evaluate(&query, &data, instants, &stopped)
        });
        evaluated
            .await
            .map_err(|error| Fault::Internal(error.to_string()))?
    };
    let ended = tokio::time::timeout(TIMEOUT, work).await;
    stopped.store(true, Ordering::Relaxed);
    ended.unwrap_or_else(|_| {
        let seconds = TIMEOUT.as_secs();
        let text = format!("query timed out: it took longer than {seconds} s");
        Err(Fault::Internal(text))
    })
}

/// The series of every selector.
async fn read(api: &Api, query: &PromQuery, instants: Instants) -> Result<Collected, Fault> {
    let mut collector = Collector::default();
    let (from, to) = instants.bounds();
    for selector in &query.selectors {
        if selector.sources.is_empty() {
            let metric = &selector.metric;
            let text = format!("Metric '{metric}' does not have a 'source_id' label.");
            return Err(Fault::Internal(text));
        }
        let mut selected = collector.begin();
        for source in &selector.sources {
            let mut page = page(selector, from, to);
            loop {
                let envelopes = api.logs.read(source, page.clone()).await;
                let envelopes = envelopes.map_err(|error| {
                    tracing::error!(%error, "reading metrics failed");
                    Fault::Internal("metrics cannot be read at the moment".to_owned())
                })?;
                selected.add(selector, &envelopes)?;
                match envelopes.last() {
                    Some(last) if envelopes.len() >= PAGE => page.start = last.timestamp + 1,
                    _ => break,
                }
            }
        }
        selected.end();
    }
    Ok(collector.finish())
}

fn page(selector: &Selector, from: i64, to: i64) -> Query {
    let window = promql::window(selector, from, to);
    Query {
        start: window.start,
        end: window.end,
        limit: PAGE,
        descending: false,
        kinds: promql::kinds(),
        name: promql::name_pattern(&selector.metric),
    }
}

/// A time in milliseconds: seconds since 1970, or RFC 3339.
fn time(name: &str, text: &str) -> Result<i64, Fault> {
    if let Ok(seconds) = text.parse::<f64>()
        && let Some(millis) = millis(seconds)
    {
        return Ok(millis);
    }
    if let Some(time) = Timestamp::parse(text) {
        return Ok(time.as_micros().div_euclid(1000));
    }
    Err(Fault::Internal(format!(
        "couldn't parse {name}: cannot parse {text:?} to a valid Unix or RFC3339 timestamp"
    )))
}

/// A step in milliseconds: seconds, or a duration such as `1m`.
fn step(text: &str) -> Result<i64, Fault> {
    let seconds = text.parse::<f64>().ok().and_then(millis);
    seconds.or_else(|| duration(text)).ok_or_else(|| {
        Fault::Internal(format!(
            "couldn't parse step: cannot parse {text:?} to a valid step"
        ))
    })
}

/// Milliseconds, unless they are more than any clock has.
fn millis(seconds: f64) -> Option<i64> {
    const MOST: f64 = 9e12;
    let millis = (seconds * 1000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number of this size"
    )]
    (millis.abs() <= MOST).then_some(millis as i64)
}

/// Numbers with units, the largest unit first.
fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("ms", 1),
        ("m", 60_000),
        ("s", 1000),
    ];
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, size) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        total = total.checked_add(number.checked_mul(*size)?)?;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then_some(total)
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, kind, text) = match self {
            Self::BadData(text) => (StatusCode::BAD_REQUEST, "bad_data", text),
            Self::Internal(text) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", text),
        };
        let body = serde_json::json!({ "status": "error", "errorType": kind, "error": text });
        (status, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_times_have_two_forms() {
        let steps = [
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("1m30s", Some(90_000)),
            ("100ms", Some(100)),
            ("1e999", None),
            ("NaN", None),
            ("m", None),
            ("", None),
            ("5x", None),
            ("99999999999999999999s", None),
        ];
        for (text, expected) in steps {
            assert_eq!(step(text).ok(), expected, "{text}");
        }
        let times = [
            ("1700000000.123", Some(1_700_000_000_123)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000)),
            ("-5", Some(-5000)),
            ("inf", None),
            ("soon", None),
        ];
        for (text, expected) in times {
            assert_eq!(time("time", text).ok(), expected, "{text}");
        }
    }
}
