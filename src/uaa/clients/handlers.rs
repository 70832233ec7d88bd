//! `/oauth/clients`: what clients may do, never their secrets. Reading needs `clients.read`,
//! writing `clients.admin`; a client may change its own secret with `clients.secret`.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use super::actions::{self, SecretChange};
use super::payload::{ATTRIBUTES, ChangeMode, ClientBody, SecretBody};
use super::presenter::{SCHEMA, present};
use super::store;
use crate::uaa::Uaa;
use crate::uaa::caller::{Caller, ClientJson, Id, Query};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{CLIENTS_ADMIN, CLIENTS_READ, CLIENTS_SECRET, UAA_ADMIN};
use crate::uaa::search::ListQuery;

const READERS: &[&str] = &[CLIENTS_READ, CLIENTS_ADMIN, UAA_ADMIN];

/// `GET /oauth/clients`.
pub(crate) async fn list(
    State(uaa): State<Uaa>,
    caller: Caller,
    Query(query): Query,
) -> UaaResult<Json<Value>> {
    caller.require_any(READERS)?;
    let query = ListQuery::validate(&query, ATTRIBUTES)?;
    let search = query.search.clone();
    let found = uaa.db().read(move |tx| store::list(tx, &search));
    let (clients, total) = found.await?;
    let clients = clients.iter().map(present).collect();
    Ok(Json(query.present(clients, total, SCHEMA)))
}

/// `GET /oauth/clients/:id`.
pub(crate) async fn get(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(client_id): Id<String>,
) -> UaaResult<Json<Value>> {
    caller.require_any(READERS)?;
    let found = uaa.db().read(move |tx| actions::existing(tx, &client_id));
    Ok(Json(present(&found.await?)))
}

/// `POST /oauth/clients`.
pub(crate) async fn create(
    State(uaa): State<Uaa>,
    caller: Caller,
    ClientJson(body): ClientJson<ClientBody>,
) -> UaaResult<(StatusCode, Json<Value>)> {
    caller.require_any(&[CLIENTS_ADMIN, UAA_ADMIN])?;
    let new = body.validate(uaa.now())?;
    let vault = uaa.vault().clone();
    let created = uaa
        .db()
        .write_without_wake(move |tx| actions::create(tx, &vault, new));
    Ok((StatusCode::CREATED, Json(present(&created.await?))))
}

/// `PUT /oauth/clients/:id`; the secret is kept.
pub(crate) async fn replace(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(client_id): Id<String>,
    ClientJson(body): ClientJson<ClientBody>,
) -> UaaResult<Json<Value>> {
    caller.require_any(&[CLIENTS_ADMIN, UAA_ADMIN])?;
    let new = body.validate(uaa.now())?;
    let updated = uaa
        .db()
        .write_without_wake(move |tx| actions::update(tx, &client_id, new));
    Ok(Json(present(&updated.await?)))
}

/// `DELETE /oauth/clients/:id`; returns the client.
pub(crate) async fn delete(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(client_id): Id<String>,
) -> UaaResult<Json<Value>> {
    caller.require_any(&[CLIENTS_ADMIN, UAA_ADMIN])?;
    let now = uaa.now();
    let deleted =
        uaa.write(move |tx, revocations| actions::delete(tx, revocations, &client_id, now));
    Ok(Json(present(&deleted.await?)))
}

/// `PUT /oauth/clients/:id/secret`.
pub(crate) async fn change_secret(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(client_id): Id<String>,
    ClientJson(body): ClientJson<SecretBody>,
) -> UaaResult<Json<Value>> {
    let own = caller.claims.user.is_none() && caller.claims.client_id == client_id;
    let is_admin = caller.claims.has_any_scope(&[CLIENTS_ADMIN, UAA_ADMIN]);
    if !is_admin {
        caller.require_any(&[CLIENTS_SECRET])?;
        if !own {
            let text = "Only a client itself or an administrator may change its secret";
            return Err(UaaError::access_denied(text));
        }
        check_old_secret(&uaa, &client_id, body.old_secret.as_ref()).await?;
    }
    let (vault, mode, now) = (uaa.vault().clone(), body.change_mode, uaa.now());
    let change = SecretChange {
        mode,
        secret: body.secret,
    };
    uaa.write(move |tx, revocations| {
        actions::change_secret(tx, &vault, revocations, &client_id, &change, now)
    })
    .await?;
    let message = match mode {
        ChangeMode::Update => "Secret is updated",
        ChangeMode::Add => "Secret is added",
        ChangeMode::Delete => "Secret is deleted",
    };
    Ok(Json(json!({ "status": "ok", "message": message })))
}

async fn check_old_secret(
    uaa: &Uaa,
    client_id: &str,
    old: Option<&crate::base::Secret<String>>,
) -> UaaResult<()> {
    let asked = client_id.to_owned();
    let found = uaa
        .db()
        .read(move |tx| actions::existing(tx, &asked))
        .await?;
    let right = match old {
        None => false,
        Some(old) => found.has_secret(old, uaa.vault())?,
    };
    if right {
        return Ok(());
    }
    let text = "Previous secret is required and must be valid";
    Err(UaaError::invalid_client(text))
}
