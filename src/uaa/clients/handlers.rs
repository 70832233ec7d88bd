//! `GET /oauth/clients/:id`: what a client may do, never its secret.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::{Client, store};
use crate::uaa::caller::{Caller, Id};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::tokens::lifetime;
use crate::uaa::{Uaa, scopes};

const READERS: &[&str] = &[
    scopes::CLIENTS_READ,
    scopes::CLIENTS_ADMIN,
    scopes::UAA_ADMIN,
];

/// `GET /oauth/clients/:id`.
pub(crate) async fn get(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(client_id): Id<String>,
) -> UaaResult<Json<Value>> {
    caller.require_any(READERS)?;
    let asked = client_id.clone();
    let found = uaa
        .db()
        .read(move |tx| store::find_client(tx, &asked))
        .await?;
    match found {
        Some(client) => Ok(Json(present(&client))),
        None => Err(UaaError::not_found(format!(
            "No client with requested id: {client_id}"
        ))),
    }
}

fn present(client: &Client) -> Value {
    json!({
        "client_id": client.client_id,
        "name": client.name,
        "scope": client.scopes,
        "resource_ids": ["none"],
        "authorized_grant_types": client.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>(),
        "redirect_uri": client.redirect_uris,
        "autoapprove": true,
        "authorities": client.authorities,
        "access_token_validity": lifetime::access(client).as_secs(),
        "refresh_token_validity": lifetime::REFRESH.as_secs(),
        "lastModified": client.updated_at.as_micros() / 1000,
    })
}
