//! What every answer of the console carries, and what every request that changes something must
//! carry.
//!
//! A page of an app is on a sibling name: its requests come with a session's cookie. So a change
//! needs the token of the session's forms, which only our pages hold, exactly our origin, and, where
//! the browser says from where it comes, the same origin.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::Console;
use super::form::Fields;
use super::outcome::{self, Outcome};
use super::show::Refused;
use super::visitor::{NoVisitor, Visitor, is_script};
use crate::base::secrets::hash;
use crate::net::RequestBase;

/// The header or form field with the token of a session's forms.
pub(super) const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-cflite-form");
/// The same as a field of a form.
pub(super) const TOKEN_FIELD: &str = "form_token";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
require-trusted-types-for 'script'; trusted-types cflite";

/// Checks where a change comes from, and secures the answer.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let script = is_script(request.headers());
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let foreign = !safe && !is_ours(&request);
    let mut response = if foreign {
        let text = "The request did not come from a page of this console. Nothing was changed.";
        Refused::of(StatusCode::FORBIDDEN, "Refused", text).into_response()
    } else {
        next.run(request).await
    };
    response = outcome::present(response, script);
    secure(response.headers_mut());
    response
}

/// Whether a request comes from a page of exactly this origin.
fn is_ours(request: &Request) -> bool {
    let headers = request.headers();
    let Some(base) = request.extensions().get::<RequestBase>() else {
        return false;
    };
    let own = base.origin();
    let origin = headers.get(header::ORIGIN);
    let site = headers.get("sec-fetch-site");
    origin.is_some_and(|origin| origin.as_bytes() == own.as_bytes())
        && site.is_none_or(|site| site == "same-origin")
}

fn secure(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &'static str); 7] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), clipboard-write=(self)",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// A change that a page of this session asks for, and the fields of its form.
pub(super) struct Change {
    pub(super) visitor: Visitor,
    pub(super) fields: Fields,
}

impl Change {
    /// Ends a change: what happened, and the page to go on with.
    pub(super) fn done(&self, text: impl Into<String>, next: impl Into<String>) -> Outcome {
        Outcome::new(text.into(), next.into(), self.visitor.api.calls())
    }
}

impl FromRequest<Console> for Change {
    type Rejection = NoVisitor;

    async fn from_request(request: Request, console: &Console) -> Result<Self, NoVisitor> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, console).await?;
        let fields = Fields::read(&parts.headers, body).await?;
        let header = parts.headers.get(TOKEN_HEADER);
        let given = header.and_then(|value| value.to_str().ok());
        let given = given.or_else(|| fields.get(TOKEN_FIELD)).unwrap_or("");
        check_token(&visitor, given)?;
        Ok(Self { visitor, fields })
    }
}

/// Rejects a change without the token of its session's forms. Compares hashes, so that timing
/// reveals nothing.
pub(super) fn check_token(visitor: &Visitor, given: &str) -> Result<(), Refused> {
    if hash(given) == hash(&visitor.session.form_token()) {
        return Ok(());
    }
    let text = "The page is older than your session. Reload it and try again; nothing was changed.";
    Err(Refused::of(StatusCode::FORBIDDEN, "Refused", text))
}
