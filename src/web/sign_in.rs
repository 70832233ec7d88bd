//! Signing in: authorization code with PKCE at this origin's own UAA. Signing out ends the session,
//! its tokens and the UAA's session of the browser.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Console;
use super::guard::Change;
use super::session::cookies::Cookie;
use super::session::tokens::CLIENT;
use super::session::{LIFETIME, SessionError};
use super::show::{Refused, go_on};
use super::visitor::Origin;
use crate::base::secrets::{hash, random_secret};
use crate::net::RequestBase;

/// How long a sign-in may take.
const SIGN_IN_SECONDS: u64 = 1800;

/// A sign-in in progress, encrypted in a cookie.
#[derive(Serialize, Deserialize)]
struct SignIn {
    /// Its hash is the request's `state`, so that nobody can end a sign-in that they did not begin.
    state: String,
    /// Proves to the UAA that the code comes back to where it was asked for.
    verifier: String,
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

/// `GET /console/login?next=`: sends the browser to the UAA.
///
/// Only a page that a person sees begins a sign-in: in a frame of an app it would end, unseen, in a
/// new session in place of the one that is there.
pub(super) async fn start(
    State(console): State<Console>,
    Origin(base): Origin,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    let purpose = headers.get("sec-fetch-dest");
    if purpose.is_some_and(|purpose| purpose != "document") {
        let text = "Open the sign-in in a tab of its own.";
        return Err(Refused::of(StatusCode::FORBIDDEN, "Refused", text));
    }
    if let Some(secret) = console.jar(&base).read(Cookie::Session, &headers)
        && console.session(&base, secret).await?.is_some()
    {
        return Ok(redirect(own_page(&asked.next)));
    }
    let sign_in = SignIn {
        state: random_secret().expose().clone(),
        verifier: random_secret().expose().clone(),
        next: own_page(&asked.next).to_owned(),
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(sign_in.verifier.as_bytes()));
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", CLIENT)
        .append_pair("redirect_uri", &redirect_uri(&base))
        .append_pair("state", &hash(&sign_in.state))
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let mut response = redirect(&format!("/oauth/authorize?{query}"));
    let plain = serde_json::to_vec(&sign_in).map_err(SessionError::from)?;
    let sealed = console.parts().vault.encrypt(&plain);
    let sealed = URL_SAFE_NO_PAD.encode(sealed.map_err(SessionError::from)?);
    let jar = console.jar(&base);
    add_cookie(
        &mut response,
        jar.store(Cookie::SignIn, &sealed, SIGN_IN_SECONDS),
    );
    Ok(response)
}

#[derive(Deserialize)]
pub(super) struct Answered {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    error_description: Option<String>,
}

/// `GET /console/callback`: where the UAA sends the browser back with a code.
pub(super) async fn finish(
    State(console): State<Console>,
    Origin(base): Origin,
    headers: HeaderMap,
    Query(answered): Query<Answered>,
) -> Result<Response, Refused> {
    let jar = console.jar(&base);
    let begun = jar.read(Cookie::SignIn, &headers);
    let begun = begun.and_then(|sealed| console.open_sign_in(sealed.expose()));
    let Some(sign_in) = begun.filter(|begun| hash(&begun.state) == answered.state) else {
        // The form was open for too long, or another tab signed in: begin again.
        return Ok(redirect("/console"));
    };
    if let Some(text) = answered.error_description {
        return Err(Refused::of(StatusCode::FORBIDDEN, "Not signed in", &text));
    }
    let redirect_uri = redirect_uri(&base);
    let redeemed = console.redeem(&base, &answered.code, &sign_in.verifier, &redirect_uri);
    let Some(tokens) = redeemed.await? else {
        let text = "The code of this sign-in is not valid any more. Please sign in again.";
        return Err(Refused::of(StatusCode::FORBIDDEN, "Not signed in", text));
    };
    // The previous session of this browser ends: its secret may be known to others.
    if let Some(secret) = jar.read(Cookie::Session, &headers)
        && let Some(old) = console.end(&base, &secret).await?
    {
        console.revoke(&base, &old).await;
    }
    let secret = console.begin(&base, tokens).await?;
    // A strict cookie does not come with a redirect that began on another site.
    let mut response = go_on(&sign_in.next)?;
    add_cookie(&mut response, jar.remove(Cookie::SignIn));
    let cookie = jar.store(Cookie::Session, secret.expose(), LIFETIME.as_secs());
    add_cookie(&mut response, cookie);
    Ok(response)
}

/// `POST /console/sign-out`.
pub(super) async fn sign_out(
    State(console): State<Console>,
    change: Change,
) -> Result<Response, Refused> {
    let visitor = &change.visitor;
    let base = visitor.base();
    if let Some(tokens) = console.end(base, &visitor.session.secret).await? {
        console.revoke(base, &tokens).await;
    }
    let mut response = redirect("/logout.do");
    add_cookie(&mut response, console.jar(base).remove(Cookie::Session));
    Ok(response)
}

impl Console {
    fn open_sign_in(&self, sealed: &str) -> Option<SignIn> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let plain = self.parts().vault.decrypt(&sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

fn redirect_uri(base: &RequestBase) -> String {
    format!("{}/console/callback", base.origin())
}

/// Only pages of the console: a link to us must not lead elsewhere.
fn own_page(path: &str) -> &str {
    let plain = path.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let ours = path == "/console" || path.starts_with("/console/") || path.starts_with("/console?");
    if plain && ours { path } else { "/console" }
}

fn redirect(location: &str) -> Response {
    let location =
        HeaderValue::from_str(location).unwrap_or_else(|_| HeaderValue::from_static("/console"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

fn add_cookie(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_pages_of_the_console_only() {
        for fine in ["/console", "/console/apps?name=a%20b", "/console?x=1"] {
            assert_eq!(own_page(fine), fine);
        }
        for foreign in [
            "",
            "/",
            "//evil.example",
            "/consolex",
            "https://evil.example/console",
            "/console/\\evil.example",
            "/console\r\nSet-Cookie: x",
        ] {
            assert_eq!(own_page(foreign), "/console", "{foreign}");
        }
    }
}
