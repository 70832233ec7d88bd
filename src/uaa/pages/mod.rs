//! HTML pages: signing in and out, passcodes, consent, errors.
//!
//! Plain HTML with inline style: no scripts, no other hosts, no framing. Every form carries a CSRF
//! token.

pub(crate) mod consent;
pub(crate) mod login;
pub(crate) mod passcode;
#[cfg(test)]
mod tests;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::Uaa;
use super::error::{UaaError, UaaResult};
use super::sessions::browser::{Browser, CSRF_FIELD};
use crate::base::secrets::random_secret;

/// Pages.
pub(crate) fn routes() -> Router<Uaa> {
    Router::new()
        .route("/login", get(login::form))
        .route("/login.do", post(login::submit))
        .route("/logout.do", get(login::log_out))
        .route("/passcode", get(passcode::passcode))
}

/// Values that every page needs.
pub(crate) struct Frame {
    /// Nonce that allows the page's own style and no other.
    pub(crate) nonce: String,
    /// Name of the form field.
    pub(crate) csrf_field: &'static str,
}

impl Frame {
    pub(crate) fn new() -> Self {
        Self {
            nonce: random_secret().expose().clone(),
            csrf_field: CSRF_FIELD,
        }
    }
}

/// A page and its frame.
pub(crate) trait Page: Template {
    fn frame(&self) -> &Frame;
}

#[derive(Template)]
#[template(path = "uaa/error.html")]
struct ErrorPage {
    frame: Frame,
    title: &'static str,
    text: String,
}

impl Page for ErrorPage {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// Renders a page as a response.
pub(crate) fn show(status: StatusCode, page: &impl Page) -> UaaResult<Response> {
    let html = page
        .render()
        .map_err(|error| UaaError::internal("render a page", &error))?;
    let mut response = (status, Html(html)).into_response();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{}'; base-uri 'none'; frame-ancestors 'none'",
        page.frame().nonce
    );
    let policy = HeaderValue::from_str(&policy)
        .map_err(|error| UaaError::internal("build a page's security policy", &error))?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let fixed: [(HeaderName, &'static str); 4] = [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Forms need an origin, which no-referrer would hide from us, too.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// An error as a page for people and as JSON for programs.
pub(crate) fn error(browser: &Browser, error: UaaError) -> Response {
    if browser.wants_page {
        error_page(&error)
    } else {
        error.into_response()
    }
}

/// An error as a page.
fn error_page(error: &UaaError) -> Response {
    let page = ErrorPage {
        frame: Frame::new(),
        title: match error.status() {
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
            status if status.is_server_error() => "Something went wrong here",
            _ => "This request cannot be fulfilled",
        },
        text: error.description().to_owned(),
    };
    show(error.status(), &page).unwrap_or_else(IntoResponse::into_response)
}

/// Redirects the browser.
pub(crate) fn redirect(location: &str) -> UaaResult<Response> {
    let location = HeaderValue::from_str(location)
        .map_err(|error| UaaError::internal("build a redirect", &error))?;
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}
