//! `GET /passcode`: a one-time code for `cf login --sso`, for the user who is signed in.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::{Frame, Page, error, login, show};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::lifetime;
use crate::uaa::sessions::browser::Browser;
use crate::uaa::{Uaa, sessions};

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

/// `GET /passcode`: a page for people, text for programs. Requires a signed-in browser: an access
/// token may allow less than a passcode leads to.
pub(crate) async fn passcode(State(uaa): State<Uaa>, browser: Browser) -> Response {
    let done = answer(&uaa, &browser).await;
    done.unwrap_or_else(|failed| error(&browser, failed))
}

async fn answer(uaa: &Uaa, browser: &Browser) -> UaaResult<Response> {
    let Some(session) = browser.session(uaa).await? else {
        return if browser.wants_page {
            login::redirect_to_login("/passcode")
        } else {
            Err(UaaError::unauthenticated())
        };
    };
    let code = sessions::issue_passcode(uaa, &session).await?;
    let code = code.expose().clone();
    if !browser.wants_page {
        let uncached = [(header::CACHE_CONTROL, "no-store")];
        return Ok((uncached, Json(code)).into_response());
    }
    let page = PasscodePage {
        frame: Frame::new(),
        user_name: session.user.user_name,
        code,
        minutes: lifetime::PASSCODE.as_secs() / 60,
    };
    show(StatusCode::OK, &page)
}
