//! Browsers: their cookies, and whether they want pages.

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use super::Session;
use crate::base::Secret;
use crate::base::secrets::{hash, random_secret};
use crate::net::cookies::{CookieJar, SameSite};
use crate::uaa::Uaa;
use crate::uaa::caller::{Base, Parameters};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::lifetime;

const SESSION_COOKIE: &str = "cflite_login";
const CSRF_COOKIE: &str = "cflite_login_form";

/// The field that proves that a form came from a page of ours.
pub(crate) const CSRF_FIELD: &str = "X-Uaa-Csrf";

/// A request as browsers send them.
pub(crate) struct Browser {
    /// This server as the browser sees it.
    pub(crate) base: String,
    /// Whether it asks for a page rather than JSON.
    pub(crate) wants_page: bool,
    session: Option<Secret<String>>,
    csrf: Option<Secret<String>>,
}

impl FromRequestParts<Uaa> for Browser {
    type Rejection = UaaError;

    async fn from_request_parts(parts: &mut Parts, uaa: &Uaa) -> UaaResult<Self> {
        let Base(base) = Base::from_request_parts(parts, uaa).await?;
        let jar = CookieJar::of(&base);
        let cookie = |name| jar.read(name, &parts.headers);
        Ok(Self {
            base,
            wants_page: wants_page(&parts.headers),
            session: cookie(SESSION_COOKIE),
            csrf: cookie(CSRF_COOKIE),
        })
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.contains("text/html")
}

impl Browser {
    /// The session of the signed-in user.
    pub(crate) async fn session(&self, uaa: &Uaa) -> UaaResult<Option<Session>> {
        match &self.session {
            None => Ok(None),
            Some(secret) => super::find(uaa, secret).await,
        }
    }

    /// Signs the browser out.
    pub(crate) async fn sign_out(&self, uaa: &Uaa) -> UaaResult<()> {
        match &self.session {
            None => Ok(()),
            Some(secret) => super::end(uaa, secret).await,
        }
    }

    /// The CSRF token of the log-in form: the same as a cookie that scripts and other sites cannot
    /// read. A new one comes with a cookie to set.
    pub(crate) fn login_token(&self) -> (String, Option<HeaderValue>) {
        match &self.csrf {
            Some(known) => (known.expose().clone(), None),
            None => {
                let new = random_secret().expose().clone();
                let cookie = self.cookie(CSRF_COOKIE, &new, lifetime::SESSION.as_secs());
                (new, cookie)
            }
        }
    }

    /// Rejects a log-in form without a valid CSRF token.
    pub(crate) fn check_login_token(&self, form: &Parameters) -> UaaResult<()> {
        let expected = self.csrf.as_ref().map_or("", |csrf| csrf.expose().as_str());
        check(expected, form)
    }

    /// The cookie that signs the browser in.
    pub(crate) fn session_cookie(&self, secret: &Secret<String>) -> Option<HeaderValue> {
        let seconds = lifetime::SESSION.as_secs();
        self.cookie(SESSION_COOKIE, secret.expose(), seconds)
    }

    /// The cookie that removes the session cookie.
    pub(crate) fn no_session_cookie(&self) -> Option<HeaderValue> {
        self.cookie(SESSION_COOKIE, "", 0)
    }

    fn cookie(&self, name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
        CookieJar::of(&self.base).store(name, value, (seconds, SameSite::Lax))
    }
}

impl Session {
    /// Rejects a form that does not belong to this session.
    pub(crate) fn check_token(&self, form: &Parameters) -> UaaResult<()> {
        check(&self.csrf, form)
    }
}

/// Compares hashes, so that timing reveals nothing.
fn check(expected: &str, form: &Parameters) -> UaaResult<()> {
    let given = form.get_or_empty(CSRF_FIELD);
    if !expected.is_empty() && hash(given) == hash(expected) {
        return Ok(());
    }
    Err(UaaError::access_denied(
        "The form is too old or did not come from this server. Go back, reload the page and try again.",
    ))
}

/// Adds a cookie to a response.
pub(crate) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
