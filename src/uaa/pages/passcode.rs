//! `GET /passcode`: a one-time code for `cf login --sso`, for whoever is signed in here.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{Frame, Page, error, login, show};
use crate::base::Timestamp;
use crate::uaa::caller::bearer;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::UAA_USER;
use crate::uaa::sessions::browser::Browser;
use crate::uaa::tokens::lifetime;
use crate::uaa::users::User;
use crate::uaa::{Uaa, sessions, users};

#[derive(Template)]
#[template(path = "uaa/passcode.html")]
struct PasscodePage {
    frame: Frame,
    user_name: String,
    code: String,
    minutes: u64,
}

impl Page for PasscodePage {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// `GET /passcode`: a page for people, a text for programs. Proof is a signed-in browser or a
/// user's access token.
pub(crate) async fn passcode(
    State(uaa): State<Uaa>,
    browser: Browser,
    headers: HeaderMap,
) -> Response {
    let done = answer(&uaa, &browser, &headers).await;
    done.unwrap_or_else(|failed| error(browser.wants_page, failed))
}

async fn answer(uaa: &Uaa, browser: &Browser, headers: &HeaderMap) -> UaaResult<Response> {
    let (user, since) = match (bearer(headers), browser.session(uaa).await?) {
        (Some(token), _) => by_token(uaa, token).await?,
        (None, Some(session)) => (session.user, session.authenticated_at),
        (None, None) if browser.wants_page => return login::first("/passcode"),
        (None, None) => return Err(UaaError::unauthenticated()),
    };
    let code = sessions::issue_passcode(uaa, &user, since).await?;
    let code = code.expose().clone();
    if !browser.wants_page {
        let mut response = Json(code).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return Ok(response);
    }
    let page = PasscodePage {
        frame: Frame::new(),
        user_name: user.user_name,
        code,
        minutes: lifetime::PASSCODE.as_secs() / 60,
    };
    show(StatusCode::OK, &page)
}

async fn by_token(uaa: &Uaa, token: &str) -> UaaResult<(User, Timestamp)> {
    let claims = uaa
        .verify(token)
        .map_err(|error| UaaError::invalid_token(error.to_string()))?;
    let guid = match claims.user {
        Some(guid) if claims.scopes.contains(UAA_USER) => guid,
        _ => return Err(UaaError::insufficient_scope(&[UAA_USER])),
    };
    let found = uaa
        .db()
        .read(move |tx| users::store::find_user(tx, &guid))
        .await?;
    let user = found.ok_or_else(|| UaaError::invalid_token("the token's user does not exist"))?;
    let since = claims.authenticated_at.unwrap_or(claims.issued_at);
    let since = Timestamp::from_micros(since.saturating_mul(1_000_000));
    Ok((user, since))
}
