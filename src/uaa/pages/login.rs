//! `/login`, `/login.do`, `/logout.do`: signing a browser in and out.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::{Frame, Page, error, error_page, redirect, show};
use crate::base::Secret;
use crate::uaa::caller::{Base, Form, Parameters, Query};
use crate::uaa::error::UaaResult;
use crate::uaa::sessions::browser::{Browser, with_cookie};
use crate::uaa::throttle::Source;
use crate::uaa::users::{Identity, ORIGIN_UAA};
use crate::uaa::{Uaa, clients, info, logins, sessions};

/// Where to go after signing in.
const NEXT_FIELD: &str = "form_redirect_uri";

#[derive(Template)]
#[template(path = "uaa/login.html")]
struct LoginPage {
    frame: Frame,
    csrf: String,
    next: String,
    user_name: String,
    failure: Option<&'static str>,
    signed_out: bool,
}

#[derive(Template)]
#[template(path = "uaa/home.html")]
struct HomePage {
    frame: Frame,
    user_name: String,
}

impl Page for LoginPage {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Page for HomePage {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// `GET /login`: the form for people, the prompts for programs.
pub(crate) async fn form(
    State(uaa): State<Uaa>,
    browser: Browser,
    Query(query): Query,
) -> Response {
    if !browser.wants_page {
        return info::login(Base(browser.base)).await.into_response();
    }
    let page = match browser.session(&uaa).await {
        Ok(Some(session)) => match next(&query) {
            Some(next) => redirect(next),
            None => show(
                StatusCode::OK,
                &HomePage {
                    frame: Frame::new(),
                    user_name: session.user.user_name,
                },
            ),
        },
        Ok(None) => login_page(&browser, &query),
        Err(failed) => Err(failed),
    };
    page.unwrap_or_else(|failed| error_page(&failed))
}

fn login_page(browser: &Browser, query: &Parameters) -> UaaResult<Response> {
    let (csrf, cookie) = browser.login_token();
    let page = LoginPage {
        frame: Frame::new(),
        csrf,
        next: next(query).unwrap_or_default().to_owned(),
        user_name: query.get("username").unwrap_or_default().to_owned(),
        failure: match query.get("error") {
            None => None,
            Some("login_failure") => Some("The username or password is wrong. Please try again."),
            Some(_) => Some("You could not be signed in. Please try again."),
        },
        signed_out: query.get("success").is_some(),
    };
    Ok(with_cookie(show(StatusCode::OK, &page)?, cookie))
}

/// `POST /login.do`: checks the password and signs the browser in.
pub(crate) async fn submit(
    State(uaa): State<Uaa>,
    browser: Browser,
    source: Source,
    Form(form): Form,
) -> Response {
    let done = sign_in(&uaa, &browser, source, &form).await;
    done.unwrap_or_else(|failed| error(&browser, failed))
}

async fn sign_in(
    uaa: &Uaa,
    browser: &Browser,
    source: Source,
    form: &Parameters,
) -> UaaResult<Response> {
    browser.check_login_token(form)?;
    let user_name = form.get("username").unwrap_or_default();
    let password = Secret::new(form.get_or_empty("password").to_owned());
    let identity = Identity {
        user_name,
        origin: ORIGIN_UAA,
    };
    let proven = logins::authenticate(uaa, source, identity, password).await?;
    let secret = match &proven {
        None => None,
        Some(user) => sessions::start(uaa, user).await?,
    };
    let Some(secret) = secret else {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("error", "login_failure");
        query.append_pair("username", user_name);
        if let Some(next) = next(form) {
            query.append_pair(NEXT_FIELD, next);
        }
        return redirect(&format!("/login?{}", query.finish()));
    };
    // Ends the previous session of this browser.
    browser.sign_out(uaa).await?;
    let response = redirect(next(form).unwrap_or("/login"))?;
    Ok(with_cookie(response, browser.session_cookie(&secret)))
}

/// `GET /logout.do`: signs the browser out; `redirect` is followed to addresses registered by the
/// client that `client_id` names.
pub(crate) async fn log_out(
    State(uaa): State<Uaa>,
    browser: Browser,
    Query(query): Query,
) -> Response {
    let done = sign_out(&uaa, &browser, &query).await;
    done.unwrap_or_else(|failed| error(&browser, failed))
}

async fn sign_out(uaa: &Uaa, browser: &Browser, query: &Parameters) -> UaaResult<Response> {
    browser.sign_out(uaa).await?;
    let target = after_log_out(uaa, browser, query).await?;
    let response = redirect(target.as_deref().unwrap_or("/login?success=logout"))?;
    Ok(with_cookie(response, browser.no_session_cookie()))
}

async fn after_log_out(
    uaa: &Uaa,
    browser: &Browser,
    query: &Parameters,
) -> UaaResult<Option<String>> {
    let Some(target) = query.get("redirect") else {
        return Ok(None);
    };
    if is_ours(target) {
        return Ok(Some(target.to_owned()));
    }
    let Some(client_id) = query.get("client_id").map(str::to_owned) else {
        return Ok(None);
    };
    let found = uaa
        .db()
        .read(move |tx| clients::find_client(tx, &client_id))
        .await?;
    let known = found.is_some_and(|client| {
        clients::redirects::matches(&client.redirect_uris, target, &browser.base)
    });
    Ok(known.then(|| target.to_owned()))
}

/// Redirects to the log-in form, which continues to `next` afterwards.
pub(crate) fn redirect_to_login(next: &str) -> UaaResult<Response> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(NEXT_FIELD, next);
    redirect(&format!("/login?{}", query.finish()))
}

fn next(parameters: &Parameters) -> Option<&str> {
    parameters.get(NEXT_FIELD).filter(|next| is_ours(next))
}

/// Only paths on this server: a link to us must not redirect elsewhere.
fn is_ours(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    path.starts_with('/') && !path.starts_with("//") && path.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_on_this_server_are_followed() {
        for fine in ["/", "/passcode", "/oauth/authorize?client_id=a&state=b%20c"] {
            assert!(is_ours(fine), "{fine}");
        }
        for foreign in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/a\r\nSet-Cookie: x",
            "javascript:alert(1)",
        ] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }
}
