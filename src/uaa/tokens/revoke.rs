//! `DELETE /oauth/token/revoke/:jti`: signing out.
//!
//! The CLI calls it twice, once with each of its tokens as proof; so a refresh token is accepted
//! as proof here, and nowhere else.

use axum::extract::State;
use http::{HeaderMap, StatusCode};

use super::{hash, store};
use crate::base::guid::UserGuid;
use crate::uaa::Uaa;
use crate::uaa::caller::{Id, bearer};
use crate::uaa::claims::{Claims, TokenError, TokenId};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{TOKENS_REVOKE, UAA_ADMIN};

/// What proves who asks.
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
    uaa.write(move |tx, revocations| {
        if let Proof::Access(claims) = &proof
            && claims.id == id
        {
            revocations.end_token(tx, claims, now)?;
            return Ok(());
        }
        let found = store::find_refresh_by_id(tx, &id)?;
        let found = found.ok_or_else(|| UaaError::not_found("There is no such token to revoke"))?;
        if !may_revoke(&proof, &found.user) {
            return Err(UaaError::insufficient_scope(&[TOKENS_REVOKE, UAA_ADMIN]));
        }
        Ok(store::delete_refresh(tx, &id)?)
    })
    .await?;
    Ok(StatusCode::OK)
}

fn may_revoke(proof: &Proof, owner: &UserGuid) -> bool {
    match proof {
        Proof::Refresh(user) => user == owner,
        Proof::Access(claims) => {
            claims.user.as_ref() == Some(owner) || claims.has_any_scope(&[TOKENS_REVOKE, UAA_ADMIN])
        }
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
        .read(move |tx| store::find_refresh(tx, &token_hash))
        .await?;
    match found {
        Some(row) if row.expires_at > uaa.now() => Ok(Proof::Refresh(row.user)),
        Some(_) => Err(UaaError::invalid_token(TokenError::Expired.to_string())),
        None => Err(UaaError::invalid_token(error.to_string())),
    }
}
