//! Browsers: their cookies, and whether they want pages.

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use super::Session;
use crate::base::Secret;
use crate::uaa::Uaa;
use crate::uaa::caller::{Base, Parameters};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::lifetime;
use crate::uaa::secrets::hash;
use crate::uaa::secrets::random_secret;

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
        let cookie = |name| cookie(&parts.headers, name).map(Secret::new);
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

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    // Cookies of others may hold any bytes.
    let mut pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name && !value.is_empty()).then(|| value.to_owned())
    })
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
        let secure = if self.base.starts_with("https:") {
            "; Secure"
        } else {
            ""
        };
        let text =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; cflite_login=x=y".parse().unwrap());
        headers.append(header::COOKIE, "b=2;c=".parse().unwrap());
        assert_eq!(cookie(&headers, "cflite_login").as_deref(), Some("x=y"));
        assert_eq!(cookie(&headers, "b").as_deref(), Some("2"));
        assert_eq!(cookie(&headers, "c"), None);
        assert_eq!(cookie(&headers, "login"), None);
        let odd = HeaderValue::from_bytes(b"odd=\xff; d=4").unwrap();
        headers.append(header::COOKIE, odd);
        assert_eq!(cookie(&headers, "d").as_deref(), Some("4"));
    }
}
