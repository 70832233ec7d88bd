//! `GET /cflite/logs`: what `cflite logs` asks; a line of JSON for each line found.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::parameters::{self, Parameters};
use super::{Results, Search};
use crate::db::DbError;
use crate::logs::Logs;
use crate::logs::envelope::{Envelope, LogStream, Message};

/// Names of sources; implemented by the control plane.
#[async_trait]
pub trait LogSources: Send + Sync + 'static {
    /// The apps of this name (`app`, `space/app` or `organization/space/app`) or guid.
    async fn apps(&self, name: &str) -> Result<Vec<NamedSource>, String>;

    /// The service instances of this name or guid.
    async fn services(&self, name: &str) -> Result<Vec<NamedSource>, String>;

    /// Every app and service instance.
    async fn all(&self) -> Result<Vec<NamedSource>, String>;
}

/// A source and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSource {
    /// Guid.
    pub id: String,
    /// The name of the app or service instance.
    pub name: String,
    /// Its space.
    pub space: String,
    /// The organization.
    pub organization: String,
}

/// A line that was found.
#[derive(Serialize)]
struct Found<'a> {
    /// Nanoseconds since 1970; as text, since they are too many digits for some readers.
    timestamp: String,
    source_id: &'a str,
    name: &'a str,
    space: &'a str,
    organization: &'a str,
    source_type: &'a str,
    instance_id: &'a str,
    stream: &'static str,
    text: String,
}

type Names = BTreeMap<String, NamedSource>;

#[derive(Clone)]
struct Operator {
    logs: Logs,
    sources: Arc<dyn LogSources>,
}

impl Logs {
    /// The routes for operators; who serves them checks that the caller is one.
    pub fn operator_routes(&self, sources: Arc<dyn LogSources>) -> Router {
        Router::new()
            .route("/cflite/logs", get(search))
            .with_state(Operator {
                logs: self.clone(),
                sources,
            })
    }
}

fn refusal(status: StatusCode, text: &str) -> Response {
    let body = json!({ "errors": [{ "code": "LOGS", "message": text }] });
    (status, Json(body)).into_response()
}

fn failed(error: &str) -> Response {
    tracing::error!(%error, "searching logs failed");
    refusal(StatusCode::INTERNAL_SERVER_ERROR, error)
}

async fn search(State(operator): State<Operator>, RawQuery(query): RawQuery) -> Response {
    let parameters = match parameters::parse(query.as_deref().unwrap_or_default()) {
        Ok(parameters) => parameters,
        Err(text) => return refusal(StatusCode::BAD_REQUEST, &text),
    };
    let names = match operator.names(&parameters).await {
        Ok(names) => names,
        Err(response) => return response,
    };
    let named = names.keys().map(|id| id.as_str().into());
    let search = Search {
        sources: (!parameters.all).then(|| named.collect()),
        filter: parameters.filter,
        since: parameters.since,
        until: parameters.until,
        last: parameters.last,
        follow: parameters.follow,
        bounds: super::Bounds::default(),
    };
    match operator.logs.search(search).await {
        Ok(results) => lines(results, names),
        Err(error) => failed(&error.to_string()),
    }
}

impl Operator {
    async fn names(&self, parameters: &Parameters) -> Result<Names, Response> {
        let mut found = Vec::new();
        if parameters.all {
            found = self.sources.all().await.map_err(|error| failed(&error))?;
        }
        for name in &parameters.apps {
            let apps = self
                .sources
                .apps(name)
                .await
                .map_err(|error| failed(&error))?;
            if apps.is_empty() {
                return Err(unknown("app", name));
            }
            found.extend(apps);
        }
        for name in &parameters.services {
            let services = self.sources.services(name).await;
            let services = services.map_err(|error| failed(&error))?;
            if services.is_empty() {
                return Err(unknown("service instance", name));
            }
            found.extend(services);
        }
        let named = found.into_iter().map(|source| (source.id.clone(), source));
        Ok(named.collect())
    }
}

fn unknown(what: &str, name: &str) -> Response {
    refusal(
        StatusCode::NOT_FOUND,
        &format!("there is no {what} {name:?}"),
    )
}

fn lines(results: Results, names: Names) -> Response {
    // An error breaks the answer off: the client must not take it for complete.
    let all = stream::try_unfold((results, names), |(mut results, names)| async move {
        let found = results.next().await;
        let found = found.inspect_err(|error| tracing::error!(%error, "searching logs failed"))?;
        Ok::<_, DbError>(found.map(|found| {
            let lines: String = found.iter().map(|one| line(one, &names)).collect();
            (Bytes::from(lines), (results, names))
        }))
    });
    let mut response = Response::new(Body::from_stream(all));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn line(envelope: &Envelope, names: &Names) -> String {
    let Message::Log { payload, stream } = &envelope.message else {
        return String::new();
    };
    let tag = |name: &str| envelope.tags.get(name).map_or("", String::as_str);
    let named = names.get(&*envelope.source_id);
    // An app that came later is named by its lines.
    let (name, space, organization) = match named {
        Some(named) => (&*named.name, &*named.space, &*named.organization),
        None => (tag("app_name"), tag("space_name"), tag("organization_name")),
    };
    let found = Found {
        timestamp: envelope.timestamp.to_string(),
        source_id: &envelope.source_id,
        name,
        space,
        organization,
        source_type: tag("source_type"),
        instance_id: &envelope.instance_id,
        stream: match stream {
            LogStream::Out => "OUT",
            LogStream::Err => "ERR",
        },
        text: String::from_utf8_lossy(payload).into_owned(),
    };
    match serde_json::to_string(&found) {
        Ok(json) => json + "\n",
        Err(error) => {
            tracing::error!(%error, "a log line cannot be encoded");
            String::new()
        }
    }
}
