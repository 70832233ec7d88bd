//! `POST /oauth/token`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};

use super::grants::{self, Asked};
use super::issue::{Stamp, TokenResponse};
use crate::uaa::Uaa;
use crate::uaa::caller::{Base, Form, Query};
use crate::uaa::client_auth;
use crate::uaa::clients::GrantType;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::throttle::Source;

/// Authenticates the client, then dispatches on the grant type.
pub(crate) async fn token(
    State(uaa): State<Uaa>,
    Base(base): Base,
    source: Source,
    Query(query): Query,
    headers: HeaderMap,
    Form(form): Form,
) -> UaaResult<Response> {
    let client = client_auth::authenticate(&uaa, source, &headers, &form).await?;
    let name = form
        .get("grant_type")
        .ok_or_else(|| UaaError::invalid_request("Missing grant type"))?;
    let grant = GrantType::parse(name).ok_or_else(|| UaaError::unsupported_grant_type(name))?;
    if !client.allows(grant) {
        let text = format!("Unauthorized grant type: {name}");
        return Err(UaaError::unauthorized_client(text));
    }
    let asked = Asked {
        client,
        form: &form,
        source,
        stamp: Stamp {
            issuer: uaa.issuer(&base),
            now: uaa.now(),
        },
    };
    let answer = match grant {
        GrantType::Password => {
            let hint = query.get("login_hint").or_else(|| form.get("login_hint"));
            grants::password(&uaa, asked, hint).await
        }
        GrantType::RefreshToken => grants::refresh_token(&uaa, asked).await,
        GrantType::ClientCredentials => grants::client_credentials(&uaa, asked).await,
        GrantType::AuthorizationCode => grants::authorization_code(&uaa, asked).await,
    };
    Ok(uncached(answer?))
}

fn uncached(answer: TokenResponse) -> Response {
    let mut response = Json(answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
