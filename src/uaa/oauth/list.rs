//! Lists valid tokens: `/oauth/token/list…`. Shows what tokens may do, never the tokens.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::base::guid::UserGuid;
use crate::uaa::Uaa;
use crate::uaa::caller::{Caller, Id};
use crate::uaa::error::UaaResult;
use crate::uaa::scopes::{TOKENS_LIST, UAA_ADMIN};
use crate::uaa::tokens::{self, AccessToken, RefreshToken, Tokens, TokensOf};

const LISTERS: &[&str] = &[TOKENS_LIST, UAA_ADMIN];

/// `GET /oauth/token/list`: the caller's own.
pub(crate) async fn own(state: State<Uaa>, caller: Caller) -> UaaResult<Json<Vec<Value>>> {
    match caller.claims.user.clone() {
        Some(user) => of_user(state, caller, Id(user)).await,
        None => {
            let client_id = caller.claims.client_id.clone();
            let State(uaa) = state;
            let now = uaa.now();
            let read = uaa
                .db()
                .read(move |tx| tokens::list_tokens(tx, TokensOf::Client(&client_id), now));
            let access = read.await?.access;
            let own = access.iter().filter(|token| token.user.is_none());
            Ok(Json(own.map(present_access).collect()))
        }
    }
}

/// `GET /oauth/token/list/user/:id`.
pub(crate) async fn of_user(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(user): Id<UserGuid>,
) -> UaaResult<Json<Vec<Value>>> {
    if !caller.is(&user) {
        caller.require_any(LISTERS)?;
    }
    let now = uaa.now();
    let read = uaa
        .db()
        .read(move |tx| tokens::list_tokens(tx, TokensOf::User(&user), now));
    Ok(Json(present(&read.await?)))
}

/// `GET /oauth/token/list/client/:id`.
pub(crate) async fn of_client(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(client_id): Id<String>,
) -> UaaResult<Json<Vec<Value>>> {
    if caller.claims.user.is_some() || caller.claims.client_id != client_id {
        caller.require_any(LISTERS)?;
    }
    let now = uaa.now();
    let read = uaa
        .db()
        .read(move |tx| tokens::list_tokens(tx, TokensOf::Client(&client_id), now));
    Ok(Json(present(&read.await?)))
}

fn present(tokens: &Tokens) -> Vec<Value> {
    let access = tokens.access.iter().map(present_access);
    access
        .chain(tokens.refresh.iter().map(present_refresh))
        .collect()
}

fn present_access(token: &AccessToken) -> Value {
    json!({
        "tokenId": token.id,
        "clientId": token.client_id,
        "userId": token.user,
        "format": "JWT",
        "responseType": "ACCESS_TOKEN",
        "grantType": token.grant_type,
        "issuedAt": token.issued_at.as_micros() / 1000,
        "expiresAt": token.expires_at.as_micros() / 1000,
        "scope": token.scopes.to_string(),
        "value": Value::Null,
        "zoneId": "uaa",
    })
}

fn present_refresh(token: &RefreshToken) -> Value {
    json!({
        "tokenId": token.id,
        "clientId": token.client_id,
        "userId": token.user,
        "format": "JWT",
        "responseType": "REFRESH_TOKEN",
        "grantType": token.grant_type,
        "issuedAt": token.issued_at.as_micros() / 1000,
        "expiresAt": token.expires_at.as_micros() / 1000,
        "scope": token.scopes.to_string(),
        "value": Value::Null,
        "zoneId": "uaa",
    })
}
