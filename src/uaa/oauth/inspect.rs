//! Token introspection: `/check_token`, `/introspect`, `/userinfo`.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::uaa::caller::{Caller, Form, Parameters, bearer};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{OPENID, Scopes, UAA_RESOURCE};
use crate::uaa::throttle::Source;
use crate::uaa::{Uaa, client_auth, users};

/// `POST /check_token`: the claims, or 400; also when the token lacks one of `scopes`.
pub(crate) async fn check_token(
    State(uaa): State<Uaa>,
    source: Source,
    headers: HeaderMap,
    Form(form): Form,
) -> UaaResult<Json<Map<String, Value>>> {
    require_resource_client(&uaa, source, &headers, &form).await?;
    let checked = uaa.verify_payload(form.require("token")?);
    let (claims, payload) = checked.map_err(|error| UaaError::not_a_token(error.to_string()))?;
    let missing = Scopes::parse(form.get_or_empty("scopes")).without(&claims.scopes);
    if !missing.is_empty() {
        let text = format!("Some requested scopes are missing: {missing}");
        return Err(UaaError::invalid_scope(text));
    }
    Ok(Json(payload))
}

/// `POST /introspect` (RFC 7662): the claims with `active`, or `active` alone.
pub(crate) async fn introspect(
    State(uaa): State<Uaa>,
    source: Source,
    headers: HeaderMap,
    Form(form): Form,
) -> UaaResult<Json<Map<String, Value>>> {
    match bearer(&headers) {
        None => require_resource_client(&uaa, source, &headers, &form).await?,
        Some(token) => {
            let verified = uaa.verify(token);
            let claims = verified.map_err(|error| UaaError::invalid_token(error.to_string()))?;
            Caller { claims }.require_any(&[UAA_RESOURCE])?;
        }
    }
    let Ok((_, mut answer)) = uaa.verify_payload(form.require("token")?) else {
        return Ok(Json(Map::from_iter([("active".to_owned(), false.into())])));
    };
    answer.insert("active".to_owned(), true.into());
    Ok(Json(answer))
}

async fn require_resource_client(
    uaa: &Uaa,
    source: Source,
    headers: &HeaderMap,
    form: &Parameters,
) -> UaaResult<()> {
    let client = client_auth::authenticate(uaa, source, headers, form).await?;
    if client.authorities.contains(UAA_RESOURCE) {
        return Ok(());
    }
    Err(UaaError::access_denied(format!(
        "The client {} lacks the authority {UAA_RESOURCE}",
        client.client_id
    )))
}

/// `GET /userinfo`: who the caller is.
pub(crate) async fn userinfo(State(uaa): State<Uaa>, caller: Caller) -> UaaResult<Json<Value>> {
    caller.require_any(&[OPENID])?;
    let guid = caller.claims.user.ok_or_else(UaaError::unauthenticated)?;
    let found = uaa.db().read(move |tx| users::find_user(tx, &guid)).await?;
    let user = found.ok_or_else(|| UaaError::invalid_token("the token's user does not exist"))?;
    let names = [user.given_name.as_deref(), user.family_name.as_deref()];
    let name: Vec<&str> = names.into_iter().flatten().collect();
    Ok(Json(json!({
        "user_id": user.guid,
        "sub": user.guid,
        "user_name": user.user_name,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "name": name.join(" "),
        "email": user.email,
        "email_verified": user.verified,
        "origin": user.origin,
        "previous_logon_time": user.previous_logon_at.map(|at| at.as_micros() / 1000),
    })))
}
