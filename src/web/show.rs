//! Rendering pages, and saying why one cannot be shown.

use askama::Template;
use axum::Json;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use super::api::{ApiFault, Failure};

/// Renders a page.
pub(super) fn page(template: &impl Template) -> Result<Response, Refused> {
    page_with(StatusCode::OK, template)
}

/// Renders a page with a status.
pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Result<Response, Refused> {
    let html = template
        .render()
        .map_err(|error| Refused::internal(&format!("cannot render a page: {error}")))?;
    Ok((status, Html(html)).into_response())
}

#[derive(Template)]
#[template(path = "console/go_on.html")]
struct GoOn<'a> {
    next: &'a str,
}

/// A page that leads to another one of ours at once: the browser then comes from here.
pub(super) fn go_on(next: &str) -> Result<Response, Refused> {
    page(&GoOn { next })
}

/// Why a request got nothing.
#[derive(Debug)]
pub(super) struct Refused(Box<Fault>);

/// The reason, for people and for scripts.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fault {
    #[serde(skip)]
    status: StatusCode,
    title: String,
    errors: Vec<FieldError>,
}

/// One error, at the field it belongs to when that is known.
#[derive(Debug, Clone, Serialize)]
struct FieldError {
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The code of the API, such as `CF-UnprocessableEntity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl Refused {
    /// With a title and a text for people.
    pub(super) fn of(status: StatusCode, title: &str, text: &str) -> Self {
        Self::with(
            status,
            title,
            vec![FieldError {
                detail: text.to_owned(),
                field: None,
                code: None,
            }],
        )
    }

    /// What a field must be.
    pub(super) fn field(name: &str, text: &str) -> Self {
        Self::with(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Not accepted",
            vec![FieldError {
                detail: text.to_owned(),
                field: Some(name.to_owned()),
                code: None,
            }],
        )
    }

    /// There is no such page, or the user must not see it.
    pub(super) fn not_found() -> Self {
        let text = "There is nothing here, or you have no role that may see it.";
        Self::of(StatusCode::NOT_FOUND, "Not found", text)
    }

    /// A fault of ours; its cause is logged and not shown.
    pub(super) fn internal(cause: &str) -> Self {
        tracing::error!(cause, "the console cannot answer a request");
        let text = "The platform could not answer. Its log (cflite logs) has the reason.";
        Self::of(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong here",
            text,
        )
    }

    /// The status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The reasons, for a part of a page.
    pub(super) fn text(&self) -> String {
        let details = self.0.errors.iter().map(|error| error.detail.as_str());
        details.collect::<Vec<_>>().join("; ")
    }

    /// The field that is at fault, and why, when it is one of ours.
    pub(super) fn at_field(&self) -> Option<(String, String)> {
        let mut errors = self.0.errors.iter();
        errors.find_map(|error| Some((error.field.clone()?, error.detail.clone())))
    }

    fn with(status: StatusCode, title: &str, errors: Vec<FieldError>) -> Self {
        Self(Box::new(Fault {
            status,
            title: title.to_owned(),
            errors,
        }))
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Api { status, .. } if status == StatusCode::NOT_FOUND => Self::not_found(),
            Failure::Api { status, errors } => {
                let title = match status {
                    StatusCode::FORBIDDEN => "Not allowed",
                    StatusCode::UNAUTHORIZED => "Signed out",
                    _ => "Not accepted",
                };
                Self::with(
                    status,
                    title,
                    errors.into_iter().map(FieldError::from).collect(),
                )
            }
            Failure::Internal(cause) => Self::internal(&cause),
        }
    }
}

impl From<ApiFault> for FieldError {
    fn from(fault: ApiFault) -> Self {
        Self {
            detail: fault.detail,
            field: None,
            code: Some(fault.title),
        }
    }
}

#[derive(Template)]
#[template(path = "console/refused.html")]
struct RefusedPage<'a> {
    fault: &'a Fault,
    script: String,
    style: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(*self.0);
        response
    }
}

impl Fault {
    /// As JSON for a script, as a page for people.
    pub(super) fn present(&self, for_script: bool) -> Response {
        if for_script {
            return (self.status, Json(self)).into_response();
        }
        let page = RefusedPage {
            fault: self,
            script: super::assets::path("console.js"),
            style: super::assets::path("console.css"),
        };
        match page.render() {
            Ok(html) => (self.status, Html(html)).into_response(),
            Err(_) => self.status.into_response(),
        }
    }
}
