//! Revoking tokens: `/oauth/token/revoke/…`.
//!
//! The CLI signs out with two calls, each authenticated with the token that it revokes; so a
//! refresh token is accepted here, and nowhere else. Everybody may revoke their own tokens.

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};

use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::base::secrets::hash;
use crate::db::WriteTx;
use crate::uaa::caller::{Caller, Id, bearer};
use crate::uaa::claims::{Claims, TokenError, TokenId};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{TOKENS_REVOKE, UAA_ADMIN};
use crate::uaa::tokens::revocations::Revocations;
use crate::uaa::tokens::{self, TokensOf};
use crate::uaa::{Uaa, accounts, clients, users};

const REVOKERS: &[&str] = &[TOKENS_REVOKE, UAA_ADMIN];

/// How the caller is authenticated.
enum Proof {
    Access(Box<Claims>),
    Refresh(UserGuid),
}

/// `DELETE /oauth/token/revoke/:jti`.
pub(crate) async fn revoke(
    State(uaa): State<Uaa>,
    headers: HeaderMap,
    Id(id): Id<TokenId>,
) -> UaaResult<StatusCode> {
    let token = bearer(&headers).ok_or_else(UaaError::unauthenticated)?;
    let proof = proof(&uaa, token).await?;
    let now = uaa.now();
    uaa.write(move |tx, revocations| revoke_one(tx, revocations, &proof, &id, now))
        .await?;
    Ok(StatusCode::OK)
}

fn revoke_one(
    tx: &WriteTx<'_>,
    revocations: &Revocations,
    proof: &Proof,
    id: &TokenId,
    now: Timestamp,
) -> UaaResult<()> {
    if let Proof::Access(claims) = proof
        && claims.id == *id
    {
        return Ok(revocations.end_token(tx, claims, now)?);
    }
    if let Some(access) = tokens::find_access(tx, id)? {
        may_revoke(proof, access.user.as_ref(), &access.client_id)?;
        return Ok(revocations.end_issued(tx, &access, now)?);
    }
    let found = tokens::find_refresh_by_id(tx, id)?;
    let found = found.ok_or_else(|| UaaError::not_found("There is no such token to revoke"))?;
    may_revoke(proof, Some(&found.user), &found.client_id)?;
    Ok(tokens::delete_refresh(tx, id)?)
}

fn may_revoke(proof: &Proof, owner: Option<&UserGuid>, client_id: &str) -> UaaResult<()> {
    let may = match proof {
        Proof::Refresh(user) => owner == Some(user),
        Proof::Access(claims) => {
            let own = match (owner, &claims.user) {
                (Some(owner), Some(user)) => owner == user,
                (None, None) => claims.client_id == client_id,
                _ => false,
            };
            own || claims.has_any_scope(REVOKERS)
        }
    };
    if may {
        Ok(())
    } else {
        Err(UaaError::insufficient_scope(REVOKERS))
    }
}

async fn proof(uaa: &Uaa, token: &str) -> UaaResult<Proof> {
    let error = match uaa.verify(token) {
        Ok(claims) => return Ok(Proof::Access(Box::new(claims))),
        Err(error) => error,
    };
    let token_hash = hash(token);
    let found = uaa
        .db()
        .read(move |tx| tokens::find_refresh(tx, &token_hash))
        .await?;
    match found {
        Some(row) if row.expires_at > uaa.now() => Ok(Proof::Refresh(row.user)),
        Some(_) => Err(UaaError::invalid_token(TokenError::Expired.to_string())),
        None => Err(UaaError::invalid_token(error.to_string())),
    }
}

/// `GET /oauth/token/revoke/user/:id`: everything issued to a user, through any client.
pub(crate) async fn of_user(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(user): Id<UserGuid>,
) -> UaaResult<StatusCode> {
    if !caller.is(&user) {
        caller.require_any(REVOKERS)?;
    }
    let now = uaa.now();
    uaa.write(move |tx, revocations| accounts::end_all(tx, revocations, &user, now))
        .await?;
    Ok(StatusCode::OK)
}

/// `GET /oauth/token/revoke/client/:id`: everything issued through a client, to any user.
pub(crate) async fn of_client(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(client_id): Id<String>,
) -> UaaResult<StatusCode> {
    if caller.claims.user.is_some() || caller.claims.client_id != client_id {
        caller.require_any(REVOKERS)?;
    }
    let now = uaa.now();
    uaa.write(move |tx, revocations| {
        require_client(tx, &client_id)?;
        clients::raise_generation(tx, &client_id)?;
        Ok::<_, UaaError>(revocations.end_tokens(tx, TokensOf::Client(&client_id), now)?)
    })
    .await?;
    Ok(StatusCode::OK)
}

/// `GET /oauth/token/revoke/user/:id/client/:id`: everything issued to a user through one client.
pub(crate) async fn of_user_and_client(
    State(uaa): State<Uaa>,
    caller: Caller,
    Path((user, client_id)): Path<(UserGuid, String)>,
) -> UaaResult<StatusCode> {
    if !caller.is(&user) {
        caller.require_any(REVOKERS)?;
    }
    let now = uaa.now();
    uaa.write(move |tx, revocations| {
        require_client(tx, &client_id)?;
        if users::find_user(tx, &user)?.is_none() {
            return Err(UaaError::no_such_user(user.as_str()));
        }
        let of = TokensOf::UserAndClient(&user, &client_id);
        Ok(revocations.end_tokens(tx, of, now)?)
    })
    .await?;
    Ok(StatusCode::OK)
}

fn require_client(tx: &WriteTx<'_>, client_id: &str) -> UaaResult<()> {
    if clients::find_client(tx, client_id)?.is_some() {
        return Ok(());
    }
    Err(UaaError::not_found(format!(
        "No client with requested id: {client_id}"
    )))
}
