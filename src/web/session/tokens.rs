//! Asks the UAA for tokens, as the client `cflite-console`.

use http::{Method, StatusCode};
use serde::Deserialize;

use super::{SessionError, Tokens};
use crate::base::Secret;
use crate::net::RequestBase;
use crate::web::Console;
use crate::web::api::{self, Body};

/// The UAA's client of the console.
pub(in crate::web) const CLIENT: &str = "cflite-console";

#[derive(Deserialize)]
struct Given {
    access_token: String,
    refresh_token: String,
}

impl Console {
    /// Redeems the code of a sign-in; `None` when it is not valid.
    pub(in crate::web) async fn redeem(
        &self,
        base: &RequestBase,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
    ) -> Result<Option<Tokens>, SessionError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", redirect_uri),
        ];
        self.token(base, &form).await
    }

    /// New tokens for a refresh token; `None` when it is not valid any more.
    pub(super) async fn refresh(
        &self,
        base: &RequestBase,
        refresh: &str,
    ) -> Result<Option<Tokens>, SessionError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        self.token(base, &form).await
    }

    /// Makes both tokens of a session invalid.
    pub(in crate::web) async fn revoke(&self, base: &RequestBase, tokens: &Tokens) {
        for token in [&tokens.refresh, &tokens.access] {
            let Some(id) = token_id(token) else { continue };
            let path = format!("/oauth/token/revoke/{id}");
            let bearer = format!("Bearer {}", tokens.access);
            let sent = api::send(
                self,
                base,
                Some(&bearer),
                Method::DELETE,
                &path,
                Body::Nothing,
            );
            match sent.await {
                Ok(reply) if reply.status.is_success() => {}
                Ok(reply) => {
                    tracing::warn!(status = %reply.status, "cannot revoke a token of the console");
                }
                Err(error) => tracing::warn!(%error, "cannot revoke a token of the console"),
            }
        }
    }

    async fn token(
        &self,
        base: &RequestBase,
        form: &[(&str, &str)],
    ) -> Result<Option<Tokens>, SessionError> {
        let secret = self.client_secret().await?;
        let credentials = api::basic(CLIENT, secret.expose());
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let reply = api::send(
            self,
            base,
            Some(&credentials),
            Method::POST,
            "/oauth/token",
            Body::Form(body),
        );
        let reply = reply
            .await
            .map_err(|error| SessionError::Tokens(error.to_string()))?;
        match reply.status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => return Ok(None),
            status => return Err(SessionError::Tokens(status.to_string())),
        }
        let given: Given = serde_json::from_slice(&reply.body)?;
        Ok(Some(Tokens {
            access: given.access_token,
            refresh: given.refresh_token,
        }))
    }

    async fn client_secret(&self) -> Result<Secret<String>, SessionError> {
        let found = self.parts().uaa.client_secret(CLIENT).await;
        let found = found.map_err(|error| SessionError::Tokens(error.description().to_owned()))?;
        found.ok_or_else(|| SessionError::Tokens(format!("there is no client {CLIENT}")))
    }
}

/// The id in a token, which was verified when it was stored.
fn token_id(token: &str) -> Option<String> {
    use base64::Engine as _;
    let payload = token.split('.').nth(1)?;
    let plain = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&plain).ok()?;
    Some(claims["jti"].as_str()?.to_owned())
}
