//! How a change ended: for a script what to say and where to go on, for a plain form a redirect.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::api::Call;

/// A change that was made.
#[derive(Clone, Serialize)]
pub(super) struct Outcome {
    /// What happened, one sentence.
    text: String,
    /// The page to go on with.
    next: String,
    /// The API calls that made it.
    calls: Vec<Call>,
    /// The command of the cf CLI that does the same; empty when there is none.
    command: String,
    /// What is shown once, such as a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    reveal: Option<String>,
}

impl Outcome {
    /// What happened, the page to go on with, and the calls that were made.
    pub(super) fn new(text: String, next: String, calls: Vec<Call>) -> Self {
        Self {
            text,
            next,
            calls,
            command: String::new(),
            reveal: None,
        }
    }

    /// With the command of the cf CLI that does the same.
    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// With a text that is shown in place and nowhere stored.
    pub(super) fn reveal(mut self, text: impl Into<String>) -> Self {
        self.reveal = Some(text.into());
        self
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Presents the outcome in a response, if it holds one, as the caller needs it.
pub(super) fn present(mut response: Response, for_script: bool) -> Response {
    if let Some(fault) = response.extensions_mut().remove::<super::show::Fault>() {
        return fault.present(for_script);
    }
    let Some(outcome) = response.extensions_mut().remove::<Outcome>() else {
        return response;
    };
    if for_script {
        return Json(outcome).into_response();
    }
    let next = HeaderValue::from_str(&outcome.next)
        .unwrap_or_else(|_| HeaderValue::from_static("/console"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, next)]).into_response()
}
