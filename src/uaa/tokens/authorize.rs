//! `GET /oauth/authorize?response_type=code`: a one-time code for a signed-in user, asked for with
//! the user's access token. `cf ssh` and `cf ssh-code` live on it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use url::Url;

use super::store::{self, Code};
use super::{grants, hash, lifetime};
use crate::base::{Secret, Timestamp};
use crate::uaa::caller::{Base, Caller, Parameters, Query};
use crate::uaa::clients::{self, Client, GrantType, random_secret};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::UAA_USER;
use crate::uaa::{Uaa, users};

/// `GET /oauth/authorize`.
pub(crate) async fn authorize(
    State(uaa): State<Uaa>,
    Base(base): Base,
    caller: Caller,
    Query(query): Query,
) -> UaaResult<Response> {
    caller.require_any(&[UAA_USER])?;
    let client = find_client(&uaa, query.require("client_id")?).await?;
    let redirect = redirect(&client, query.get("redirect_uri"), &base)?;
    if query.require("response_type")? != "code" {
        return Err(UaaError::unsupported_response_type());
    }
    let code = issue(&uaa, &caller, &client, &query).await?;
    let location = with_code(redirect, &code, query.get("state"));
    let location = HeaderValue::from_str(location.as_str())
        .map_err(|error| UaaError::internal("write a redirect", &error))?;
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

async fn find_client(uaa: &Uaa, client_id: &str) -> UaaResult<Client> {
    let asked = client_id.to_owned();
    let found = uaa
        .db()
        .read(move |tx| clients::store::find_client(tx, &asked))
        .await?;
    match found {
        Some(client) if client.allows(GrantType::AuthorizationCode) => Ok(client),
        Some(_) => Err(UaaError::unauthorized_client(format!(
            "The client {client_id} may not use authorization codes"
        ))),
        None => Err(UaaError::unauthorized_client(format!(
            "No client with requested id: {client_id}"
        ))),
    }
}

/// Where the code goes: only to an address the client registered. A client without any gets it at
/// an address of ours, where it reads the code off the redirect without following it.
fn redirect(client: &Client, asked: Option<&str>, base: &str) -> UaaResult<Url> {
    let own = format!("{base}/login");
    let target = match asked {
        Some(asked) if client.redirect_uris.iter().any(|known| known == asked) => asked,
        Some(_) => {
            let text = "redirect_uri is not one of the client's registered values";
            return Err(UaaError::invalid_request(text));
        }
        None => client.redirect_uris.first().unwrap_or(&own),
    };
    Url::parse(target).map_err(|error| UaaError::internal("read a redirect address", &error))
}

async fn issue(
    uaa: &Uaa,
    caller: &Caller,
    client: &Client,
    query: &Parameters,
) -> UaaResult<Secret<String>> {
    let guid = caller
        .claims
        .user
        .clone()
        .ok_or_else(UaaError::unauthenticated)?;
    let challenge = challenge(query)?;
    let scopes = grants::granted(uaa, client, &guid, query.get("scope")).await?;
    let secret = random_secret();
    let (code_hash, now) = (hash(secret.expose()), uaa.now());
    let since = caller
        .claims
        .authenticated_at
        .unwrap_or(caller.claims.issued_at);
    let (client_id, redirect_uri) = (
        client.client_id.clone(),
        query.get("redirect_uri").map(str::to_owned),
    );
    let known = uaa.db().write_without_wake(move |tx| {
        let user = users::store::find_user(tx, &guid)?.filter(|user| user.active);
        let Some(user) = user else {
            return Ok::<_, UaaError>(false);
        };
        let code = Code {
            user: guid,
            client_id,
            scopes,
            redirect_uri,
            challenge,
            generation: user.generation,
            authenticated_at: Timestamp::from_micros(since.saturating_mul(1_000_000)),
            expires_at: now.plus(lifetime::CODE),
        };
        store::prune(tx, now)?;
        store::insert_code(tx, &code, &code_hash)?;
        Ok(true)
    });
    if known.await? {
        Ok(secret)
    } else {
        Err(UaaError::invalid_token("the token's user does not exist"))
    }
}

fn challenge(query: &Parameters) -> UaaResult<Option<String>> {
    match (
        query.get("code_challenge"),
        query.get("code_challenge_method"),
    ) {
        (None, _) => Ok(None),
        (Some(challenge), Some("S256")) => Ok(Some(challenge.to_owned())),
        (Some(_), _) => Err(UaaError::invalid_request(
            "code_challenge_method must be S256",
        )),
    }
}

fn with_code(mut redirect: Url, code: &Secret<String>, state: Option<&str>) -> Url {
    let mut query = redirect.query_pairs_mut();
    query.append_pair("code", code.expose());
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    drop(query);
    redirect
}
