//! The last lines of an app, and the last usage of its instances: one envelope per part.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use prost::Message as _;

use super::{convert, v1};
use crate::db::DbError;
use crate::logs::envelope::Kinds;
use crate::logs::live::Item;
use crate::logs::{Logs, Query};

const MAX_LINES: usize = 1000;
/// Older usage is that of instances that ended.
const METRICS_AGE: i64 = 120_000_000_000;

/// `/apps/:guid/recentlogs?limit=N`.
pub(super) async fn logs(logs: &Logs, app: &str, query: &str) -> Response {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let limit = pairs.find_map(|(key, value)| (key == "limit").then(|| value.parse().ok()));
    let query = Query {
        limit: limit.flatten().unwrap_or(MAX_LINES).min(MAX_LINES),
        descending: true,
        kinds: Kinds::LOG,
        ..Query::default()
    };
    let found = match logs.read(app, query).await {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let source: Arc<str> = app.into();
    let oldest_first = found.into_iter().rev();
    let lines = oldest_first.flat_map(|line| {
        let item = Item::Envelope(Arc::new(line));
        convert::envelopes(&item, &source, 0)
    });
    multipart(lines)
}

/// `/apps/:guid/containermetrics`.
pub(super) async fn container_metrics(logs: &Logs, app: &str) -> Response {
    let query = Query {
        start: logs.now_nanos().saturating_sub(METRICS_AGE),
        limit: MAX_LINES,
        descending: true,
        kinds: Kinds::GAUGE,
        ..Query::default()
    };
    let found = match logs.read(app, query).await {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let mut newest = BTreeMap::new();
    for gauge in &found {
        if let Some(metric) = convert::container_metric(gauge) {
            newest.entry(gauge.instance_id.clone()).or_insert(metric);
        }
    }
    multipart(newest.into_values())
}

fn failed(error: &DbError) -> Response {
    tracing::error!(%error, "reading log envelopes failed");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

fn multipart(envelopes: impl Iterator<Item = v1::Envelope>) -> Response {
    let boundary = hex::encode(rand::random::<[u8; 16]>());
    let mut body = Vec::new();
    for envelope in envelopes {
        body.extend_from_slice(format!("--{boundary}\r\n\r\n").as_bytes());
        body.extend_from_slice(&envelope.encode_to_vec());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let mut response = body.into_response();
    let kind = format!("multipart/x-protobuf; boundary={boundary}");
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}
