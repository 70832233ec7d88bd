//! Issuing tokens: builds claims from the user, client and scopes, then signs them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::base::Timestamp;
use crate::uaa::Uaa;
use crate::uaa::claims::{Claims, TokenId};
use crate::uaa::clients::Client;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{OPENID, Scopes};
use crate::uaa::tokens::revocations::signature;
use crate::uaa::tokens::{AccessToken, RefreshToken};
use crate::uaa::users::User;

/// The only identity zone.
const ZONE: &str = "uaa";

/// A user's permission to act through a client.
#[derive(Clone, Debug)]
pub(crate) struct UserGrant {
    pub(crate) user: User,
    pub(crate) client: Client,
    pub(crate) scopes: Scopes,
    /// The grant type of the first token; a refresh keeps it.
    pub(crate) grant_type: String,
    pub(crate) authenticated_at: Timestamp,
    /// The nonce for the identity token.
    pub(crate) nonce: Option<String>,
}

/// The issuer and time of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) issuer: String,
    pub(crate) now: Timestamp,
}

/// The refresh token of a response.
pub(crate) enum Refresh {
    /// None: the client may not refresh.
    None,
    /// A new refresh token.
    New,
    /// The one that the client sent.
    Same(String),
}

/// The response of the token endpoint.
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    access_token: String,
    // Lower case: the CLI compares it like this.
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    expires_in: u64,
    scope: String,
    jti: TokenId,
}

/// The response, and the rows to store with it.
pub(crate) struct Issued {
    pub(crate) response: TokenResponse,
    pub(crate) access: AccessToken,
    pub(crate) client_generation: i64,
    pub(crate) refresh: Option<(RefreshToken, String)>,
}

/// Issues a user's tokens.
pub(crate) async fn for_user(
    uaa: &Uaa,
    grant: UserGrant,
    stamp: Stamp,
    refresh: Refresh,
) -> UaaResult<Issued> {
    let uaa = uaa.clone();
    let signed = tokio::task::spawn_blocking(move || sign_for_user(&uaa, &grant, &stamp, refresh));
    signed
        .await
        .map_err(|error| UaaError::internal("sign a token", &error))?
}

fn sign_for_user(
    uaa: &Uaa,
    grant: &UserGrant,
    stamp: &Stamp,
    refresh: Refresh,
) -> UaaResult<Issued> {
    let claims = user_claims(new_id(uaa), grant, stamp);
    let wants_identity = claims.has_scope(OPENID);
    let id_token = wants_identity.then(|| sign(uaa, &identity_payload(&claims, grant)));
    let (refresh_token, row) = match refresh {
        Refresh::None => (None, None),
        Refresh::Same(token) => (Some(token), None),
        Refresh::New => {
            let row = refresh_row(
                TokenId::from(format!("{}-r", new_id(uaa))),
                grant,
                stamp.now,
            );
            let token = sign(uaa, &refresh_claims(&row, &claims))?;
            let hash = crate::base::secrets::hash(&token);
            (Some(token), Some((row, hash)))
        }
    };
    let response = TokenResponse {
        access_token: sign(uaa, &access_payload(&claims, None)?)?,
        token_type: "bearer",
        id_token: id_token.transpose()?,
        refresh_token,
        expires_in: expires_in(&claims),
        scope: claims.scopes.to_string(),
        jti: claims.id.clone(),
    };
    Ok(Issued {
        response,
        access: AccessToken::of(&claims),
        client_generation: grant.client.generation,
        refresh: row,
    })
}

/// Issues a client's own token.
pub(crate) async fn for_client(
    uaa: &Uaa,
    client: Client,
    scopes: Scopes,
    stamp: Stamp,
) -> UaaResult<Issued> {
    let uaa = uaa.clone();
    let signed = tokio::task::spawn_blocking(move || {
        let claims = client_claims(new_id(&uaa), &client, scopes, &stamp);
        let response = TokenResponse {
            access_token: sign(&uaa, &access_payload(&claims, Some(&claims.scopes))?)?,
            token_type: "bearer",
            id_token: None,
            refresh_token: None,
            expires_in: expires_in(&claims),
            scope: claims.scopes.to_string(),
            jti: claims.id.clone(),
        };
        Ok(Issued {
            response,
            access: AccessToken::of(&claims),
            client_generation: client.generation,
            refresh: None,
        })
    });
    signed
        .await
        .map_err(|error| UaaError::internal("sign a token", &error))?
}

/// A second less than the lifetime, so that clients do not use it too late.
fn expires_in(claims: &Claims) -> u64 {
    let lifetime = claims.expires_at.saturating_sub(claims.issued_at);
    lifetime.saturating_sub(1).try_into().unwrap_or(0)
}

/// The claims of a user's access token.
pub(crate) fn user_claims(id: TokenId, grant: &UserGrant, stamp: &Stamp) -> Claims {
    let user = &grant.user;
    Claims {
        id,
        subject: user.guid.to_string(),
        user: Some(user.guid.clone()),
        user_name: Some(user.user_name.clone()),
        email: Some(user.email.clone()),
        origin: Some(user.origin.clone()),
        client_id: grant.client.client_id.clone(),
        audience: grant.scopes.audience(&grant.client.client_id),
        scopes: grant.scopes.clone(),
        issuer: stamp.issuer.clone(),
        issued_at: stamp.now.as_seconds(),
        authenticated_at: Some(grant.authenticated_at.as_seconds()),
        expires_at: stamp
            .now
            .plus(grant.client.user_access_lifetime())
            .as_seconds(),
        grant_type: grant.grant_type.clone(),
        revocation_signature: signature(user.guid.as_str(), user.generation),
    }
}

fn client_claims(id: TokenId, client: &Client, scopes: Scopes, stamp: &Stamp) -> Claims {
    Claims {
        id,
        subject: client.client_id.clone(),
        user: None,
        user_name: None,
        email: None,
        origin: None,
        client_id: client.client_id.clone(),
        audience: scopes.audience(&client.client_id),
        scopes,
        issuer: stamp.issuer.clone(),
        issued_at: stamp.now.as_seconds(),
        authenticated_at: None,
        expires_at: stamp.now.plus(client.client_access_lifetime()).as_seconds(),
        grant_type: "client_credentials".to_owned(),
        revocation_signature: signature(&client.client_id, 0),
    }
}

/// An access token's payload: the claims, and what other clients of UAA expect.
fn access_payload(claims: &Claims, authorities: Option<&Scopes>) -> UaaResult<Map<String, Value>> {
    let value = serde_json::to_value(claims);
    let Ok(Value::Object(mut payload)) = value else {
        return Err(UaaError::internal(
            "encode a token",
            &"claims are not an object",
        ));
    };
    payload.insert("cid".to_owned(), claims.client_id.as_str().into());
    payload.insert("azp".to_owned(), claims.client_id.as_str().into());
    payload.insert("zid".to_owned(), ZONE.into());
    // Makes the CLI revoke its tokens when it signs out.
    payload.insert("revocable".to_owned(), true.into());
    if let Some(authorities) = authorities {
        payload.insert("authorities".to_owned(), json!(authorities));
    }
    Ok(payload)
}

/// A refresh token's payload. It has no `scope`, so that it is never accepted as an access token.
fn refresh_claims(row: &RefreshToken, access: &Claims) -> Value {
    json!({
        "jti": row.id,
        "sub": row.user,
        "granted_scopes": row.scopes,
        "client_id": row.client_id,
        "cid": row.client_id,
        "azp": row.client_id,
        "iss": access.issuer,
        "zid": ZONE,
        "grant_type": row.grant_type,
        "user_name": access.user_name,
        "origin": access.origin,
        "user_id": row.user,
        "rev_sig": access.revocation_signature,
        "revocable": true,
        "auth_time": access.authenticated_at,
        "iat": row.issued_at.as_seconds(),
        "exp": row.expires_at.as_seconds(),
        "aud": access.audience,
    })
}

/// An OpenID Connect identity token's payload; without `scope` for the same reason.
fn identity_payload(claims: &Claims, grant: &UserGrant) -> Value {
    let user = &grant.user;
    let mut identity = json!({
        "sub": claims.subject,
        "aud": [claims.client_id],
        "iss": claims.issuer,
        "exp": claims.expires_at,
        "iat": claims.issued_at,
        "auth_time": claims.authenticated_at,
        "azp": claims.client_id,
        "cid": claims.client_id,
        "zid": ZONE,
        "origin": user.origin,
        "user_id": user.guid,
        "user_name": user.user_name,
        "email": user.email,
        "email_verified": user.verified,
        "given_name": user.given_name,
        "family_name": user.family_name,
    });
    if let Some(nonce) = &grant.nonce {
        identity["nonce"] = nonce.as_str().into();
    }
    identity
}

fn refresh_row(id: TokenId, grant: &UserGrant, now: Timestamp) -> RefreshToken {
    RefreshToken {
        id,
        user: grant.user.guid.clone(),
        client_id: grant.client.client_id.clone(),
        scopes: grant.scopes.clone(),
        grant_type: grant.grant_type.clone(),
        generation: grant.user.generation,
        authenticated_at: grant.authenticated_at,
        issued_at: now,
        expires_at: now.plus(grant.client.refresh_lifetime()),
    }
}

/// A new token id.
pub(crate) fn new_id(uaa: &Uaa) -> TokenId {
    TokenId::from(uaa.guids().next().replace('-', ""))
}

fn sign<T: Serialize>(uaa: &Uaa, claims: &T) -> UaaResult<String> {
    let signed = uaa.keys().sign(claims);
    signed.map_err(|error| UaaError::internal("sign a token", &error))
}
