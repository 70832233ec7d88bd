//! The Log Cache REST API: what `cf logs`, `cf push` and the log-cache plugin read from.
//!
//! Unauthorized reads get 404 with an empty body, as from upstream's proxy; errors carry gRPC
//! status codes: 3 (invalid argument) with 400, 2 (unknown) with 500.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::access::{Api, LogAccess, Readable, authorization};
use super::envelope::{Envelope, Kinds};
use super::query::{DEFAULT_LIMIT, Query};
use super::{Logs, SourceMeta, promql_api};
use crate::net::RequestBase;

/// The emulated release; from 2.0 on the CLI uses `/api/v1`.
const VERSION: &str = "3.2.6";
const MAX_LIMIT: i64 = 1000;

impl Logs {
    /// The Log Cache API.
    pub fn router(&self, access: Arc<dyn LogAccess>) -> Router {
        Router::new()
            .route("/api/v1/info", get(info))
            .route("/api/v1/meta", get(meta))
            .route("/api/v1/read/{*source_id}", get(read))
            .merge(promql_api::routes())
            .with_state(Api {
                logs: self.clone(),
                access,
            })
    }
}

async fn info(State(api): State<Api>) -> Response {
    let uptime = api.logs.now().since(api.logs.opened_at()).as_secs();
    let body = serde_json::json!({ "version": VERSION, "vm_uptime": uptime.to_string() });
    Json(body).into_response()
}

async fn read(
    State(api): State<Api>,
    Path(source_id): Path<String>,
    RawQuery(query): RawQuery,
    base: Option<Extension<RequestBase>>,
    headers: HeaderMap,
) -> Response {
    if !api
        .access
        .readable(authorization(&headers), &source_id)
        .await
    {
        return StatusCode::NOT_FOUND.into_response();
    }
    let query = match parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(fault) => return fault.into_response(),
    };
    if let Some(Extension(base)) = base
        && query.follows()
    {
        let followers = api.logs.followers();
        followers.record_read(&source_id, base.client, query.start);
    }
    match api.logs.read(&source_id, query).await {
        Ok(batch) => Json(Read {
            envelopes: Batch { batch },
        })
        .into_response(),
        Err(error) => {
            tracing::error!(%error, "reading log envelopes failed");
            Fault::Unknown("log envelopes cannot be read at the moment".to_owned()).into_response()
        }
    }
}

async fn meta(State(api): State<Api>, headers: HeaderMap) -> Response {
    let readable = api.access.all_readable(authorization(&headers)).await;
    let may_read = |source_id: &String| match &readable {
        Readable::Nothing => false,
        Readable::Only(sources) => sources.contains(source_id),
        Readable::Everything => true,
    };
    if readable == Readable::Nothing {
        return StatusCode::NOT_FOUND.into_response();
    }
    let all = api.logs.meta().into_iter();
    let meta = all.filter(|(source_id, _)| may_read(source_id));
    let meta = meta.map(|(source_id, meta)| (source_id, MetaBody::from(meta)));
    Json(Meta {
        meta: meta.collect(),
    })
    .into_response()
}

#[derive(Serialize)]
struct Read {
    envelopes: Batch,
}

#[derive(Serialize)]
struct Batch {
    batch: Vec<Envelope>,
}

#[derive(Serialize)]
struct Meta {
    meta: BTreeMap<String, MetaBody>,
}

/// Zero fields are omitted, integers are strings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetaBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_timestamp: Option<String>,
}

impl From<SourceMeta> for MetaBody {
    fn from(meta: SourceMeta) -> Self {
        let text = |number: i64| (number != 0).then(|| number.to_string());
        Self {
            count: text(meta.count),
            expired: text(meta.expired),
            oldest_timestamp: text(meta.oldest),
            newest_timestamp: text(meta.newest),
        }
    }
}

/// An error response.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// A value that cannot be parsed.
    Invalid(String),
    /// A value that is rejected.
    Unknown(String),
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Invalid(message) => (StatusCode::BAD_REQUEST, 3, message),
            Self::Unknown(message) => (StatusCode::INTERNAL_SERVER_ERROR, 2, message),
        };
        let body = serde_json::json!({ "code": code, "message": message, "details": [] });
        (status, Json(body)).into_response()
    }
}

fn parse(query: &str) -> Result<Query, Fault> {
    let mut start = 0;
    let mut end = 0;
    let mut limit = 0;
    let mut descending = false;
    let mut kinds = Kinds::NONE;
    let mut name = String::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "start_time" | "startTime" => start = integer("start_time", &value)?,
            "end_time" | "endTime" => end = integer("end_time", &value)?,
            "limit" => limit = integer("limit", &value)?,
            "descending" => descending = boolean("descending", &value)?,
            "envelope_types" | "envelopeTypes" => kinds = kinds.with(kind(&value)?),
            "name_filter" | "nameFilter" => name = value.into_owned(),
            // Cloud Foundry's tests send `envelope_type` and expect it to be ignored.
            _ => {}
        }
    }
    if end != 0 && start > end {
        let text = format!("startTime ({start}) must be before endTime ({end})");
        return Err(Fault::Unknown(text));
    }
    if limit > MAX_LIMIT {
        let text = format!("limit ({limit}) must be {MAX_LIMIT} or less");
        return Err(Fault::Unknown(text));
    }
    if limit < 0 {
        let text = format!("limit ({limit}) must be greater than zero");
        return Err(Fault::Unknown(text));
    }
    let limit = match usize::try_from(limit) {
        Ok(0) | Err(_) => DEFAULT_LIMIT,
        Ok(limit) => limit,
    };
    Ok(Query {
        start,
        // No end means no upper bound, since raised timestamps may be later than now.
        end: if end == 0 { i64::MAX } else { end },
        limit,
        descending,
        kinds: if kinds == Kinds::NONE {
            Kinds::ANY
        } else {
            kinds
        },
        name: name_filter(&name)?,
    })
}

fn name_filter(text: &str) -> Result<Option<regex::Regex>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    // The parser's error spans several lines; the last one has the reason.
    regex::Regex::new(text).map(Some).map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        Fault::Unknown(format!(
            "name filter must be a valid regular expression: {reason}: `{text}`"
        ))
    })
}

fn integer(field: &str, text: &str) -> Result<i64, Fault> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().map_err(|error: std::num::ParseIntError| {
        let reason = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Fault::Invalid(format!(
            "parsing field {field:?}: strconv.ParseInt: parsing {text:?}: {reason}"
        ))
    })
}

fn boolean(field: &str, text: &str) -> Result<bool, Fault> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Fault::Invalid(format!(
            "parsing field {field:?}: strconv.ParseBool: parsing {text:?}: invalid syntax"
        ))),
    }
}

/// One value of `envelope_types`, by name or number. `ANY` adds no kind: with others, only those
/// count.
fn kind(text: &str) -> Result<Kinds, Fault> {
    match text {
        "ANY" | "0" => Ok(Kinds::NONE),
        "LOG" | "1" => Ok(Kinds::LOG),
        "COUNTER" | "2" => Ok(Kinds::COUNTER),
        "GAUGE" | "3" => Ok(Kinds::GAUGE),
        "TIMER" | "4" => Ok(Kinds::TIMER),
        "EVENT" | "5" => Ok(Kinds::EVENT),
        _ => Err(Fault::Invalid(format!(
            "parsing list \"envelope_types\": {text:?} is not a valid value"
        ))),
    }
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
