//! The platform's API as a page asks it: in process, as the user who is signed in.

pub(super) mod jobs;
pub(super) mod models;
pub(super) mod services;

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt;

use super::Console;
use crate::base::Secret;
use crate::net::{RequestBase, RequestId};

/// How the console calls itself.
pub(super) const AGENT: &str = "cflite-console";

/// The largest answer that a page reads.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// What a request carries.
pub(super) enum Body {
    Nothing,
    Json(Value),
    Form(String),
    Yaml(String),
    /// With its content type.
    Stream(HeaderValue, axum::body::Body),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The job of what goes on, or what was made.
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

/// Why an answer is no use to a page.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The API refused, in its own words.
    #[error("{}", .errors.first().map_or("the API refused without a reason", |first| &first.detail))]
    Api {
        status: StatusCode,
        errors: Vec<ApiFault>,
    },
    /// The API failed or answered something else.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// Whether what was asked for does not exist, or must not be seen.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// Whether the user must not do or see it.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api { status, .. } if *status == StatusCode::FORBIDDEN)
    }
}

/// An error of the v3 API.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
pub(super) struct ApiFault {
    pub(super) code: i64,
    pub(super) title: String,
    pub(super) detail: String,
}

#[derive(Deserialize)]
struct Faults {
    errors: Vec<ApiFault>,
}

/// An error of the UAA's API.
#[derive(Deserialize)]
struct UaaFault {
    error: String,
    error_description: String,
}

impl From<UaaFault> for ApiFault {
    fn from(fault: UaaFault) -> Self {
        Self {
            code: 0,
            title: fault.error,
            detail: fault.error_description,
        }
    }
}

/// A call that an action made, to show it.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: u16,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) pagination: Pagination,
    pub(super) resources: Vec<T>,
    #[serde(default)]
    pub(super) included: models::Included,
}

#[derive(Deserialize)]
pub(super) struct Pagination {
    pub(super) total_results: usize,
    pub(super) total_pages: usize,
}

/// The API for one request of a user.
#[derive(Clone)]
pub(super) struct Api {
    console: Console,
    base: RequestBase,
    token: Secret<String>,
    /// Calls that change something.
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Api {
    pub(super) fn new(console: Console, base: RequestBase, token: &Secret<String>) -> Self {
        Self {
            console,
            base,
            token: Secret::new(format!("bearer {}", token.expose())),
            calls: Arc::default(),
        }
    }

    /// Reads a resource.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let reply = self.ask(Method::GET, path, Body::Nothing).await?;
        read(&reply.body, path)
    }

    /// Reads a resource; `None` when it does not exist or must not be seen.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is_not_found() || failure.is_forbidden() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads one page of a list.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<List<T>, Failure> {
        self.get(path).await
    }

    /// Reads a list whole, at most `pages` pages of it. `path` has a query.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        path: &str,
        pages: usize,
    ) -> Result<List<T>, Failure> {
        let mut whole: List<T> = self.get(&format!("{path}&per_page=5000&page=1")).await?;
        for page in 2..=whole.pagination.total_pages.min(pages) {
            let mut next: List<T> = self
                .get(&format!("{path}&per_page=5000&page={page}"))
                .await?;
            whole.resources.append(&mut next.resources);
            whole.included.append(next.included);
        }
        Ok(whole)
    }

    /// Reads an answer as it is.
    pub(super) async fn raw(&self, path: &str) -> Result<Reply, Failure> {
        self.ask(Method::GET, path, Body::Nothing).await
    }

    /// Creates something or begins an action.
    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Reply, Failure> {
        self.change(Method::POST, path, Body::Json(body)).await
    }

    /// Changes something.
    pub(super) async fn patch(&self, path: &str, body: Value) -> Result<Reply, Failure> {
        self.change(Method::PATCH, path, Body::Json(body)).await
    }

    /// Deletes something.
    pub(super) async fn delete(&self, path: &str) -> Result<Reply, Failure> {
        self.change(Method::DELETE, path, Body::Nothing).await
    }

    /// Any request that changes something; it is shown to the user.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Reply, Failure> {
        let shown = (method.to_string(), path.to_owned());
        let authorization = Some(self.token.expose().as_str());
        let sent = send(&self.console, &self.base, authorization, method, path, body);
        let reply = sent.await?;
        let call = Call {
            method: shown.0,
            path: shown.1,
            status: reply.status.as_u16(),
        };
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
        drop(calls);
        checked(reply)
    }

    /// What was changed so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.clone()
    }

    async fn ask(&self, method: Method, path: &str, body: Body) -> Result<Reply, Failure> {
        let authorization = Some(self.token.expose().as_str());
        let sent = send(&self.console, &self.base, authorization, method, path, body);
        checked(sent.await?)
    }
}

impl Reply {
    /// What was made or changed.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read(&self.body, "an answer")
    }

    /// The guid of what was made.
    pub(super) fn guid(&self) -> Result<String, Failure> {
        let made: models::Named = self.json()?;
        Ok(made.guid)
    }
}

/// Sends a request to the platform's API, in process.
pub(super) async fn send(
    console: &Console,
    base: &RequestBase,
    authorization: Option<&str>,
    method: Method,
    path: &str,
    body: Body,
) -> Result<Reply, Failure> {
    let fault = |error: &dyn std::fmt::Display| Failure::Internal(format!("{path}: {error}"));
    let (content_type, body) = match body {
        Body::Nothing => (None, axum::body::Body::empty()),
        Body::Json(json) => (
            Some(HeaderValue::from_static("application/json")),
            axum::body::Body::from(json.to_string()),
        ),
        Body::Form(form) => (
            Some(HeaderValue::from_static(
                "application/x-www-form-urlencoded",
            )),
            axum::body::Body::from(form),
        ),
        Body::Yaml(yaml) => (
            Some(HeaderValue::from_static("application/x-yaml")),
            axum::body::Body::from(yaml),
        ),
        Body::Stream(content_type, body) => (Some(content_type), body),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, base.authority.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, AGENT)
        .extension(base.clone())
        .extension(RequestId::random());
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    let request = request.body(body).map_err(|error| fault(&error))?;
    let answer = console.parts().api.clone().oneshot(request).await;
    let answer = answer.unwrap_or_else(|never| match never {});
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_ANSWER)
        .await
        .map_err(|error| fault(&error))?;
    let location = head.headers.get(header::LOCATION);
    Ok(Reply {
        status: head.status,
        location: location
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        body,
    })
}

/// The value of `Authorization` for a client.
pub(super) fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")))
}

fn checked(reply: Reply) -> Result<Reply, Failure> {
    if reply.status.is_success() || reply.status.is_redirection() {
        return Ok(reply);
    }
    match serde_json::from_slice::<Faults>(&reply.body) {
        Ok(faults) if !reply.status.is_server_error() => Err(Failure::Api {
            status: reply.status,
            errors: faults.errors,
        }),
        _ if reply.status.is_client_error()
            && let Ok(fault) = serde_json::from_slice::<UaaFault>(&reply.body) =>
        {
            Err(Failure::Api {
                status: reply.status,
                errors: vec![fault.into()],
            })
        }
        _ => Err(Failure::Internal(format!(
            "the API answered {}: {}",
            reply.status,
            String::from_utf8_lossy(&reply.body[..reply.body.len().min(500)])
        ))),
    }
}

fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Failure::Internal(format!("{what} is not as expected: {error}")))
}
