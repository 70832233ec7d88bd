//! Authenticates a client: Basic credentials, or `client_id` and `client_secret` in the form.

use http::HeaderMap;

use super::caller::{ClientCredentials, Parameters, basic};
use super::clients::{self, Client};
use super::error::{UaaError, UaaResult};
use super::throttle::{Source, Subject};
use super::{Uaa, logins};
use crate::base::Secret;

/// The authenticated client of this request.
pub(crate) async fn authenticate(
    uaa: &Uaa,
    source: Source,
    headers: &HeaderMap,
    form: &Parameters,
) -> UaaResult<Client> {
    let credentials = match basic(headers)? {
        Some(credentials) => credentials,
        None => in_form(form)?,
    };
    let client_id = credentials.client_id;
    // Unknown names are throttled as well, so that timing does not reveal which clients exist.
    let attempt = logins::attempt(uaa, source, Subject::new("client", &client_id)).await?;
    let found = uaa
        .db()
        .read(move |tx| clients::find_client(tx, &client_id))
        .await?;
    let proven = match found {
        Some(client) if client.has_secret(&credentials.secret, uaa.vault())? => Some(client),
        _ => None,
    };
    let client = logins::answer(attempt, proven).await;
    client.ok_or_else(UaaError::bad_credentials)
}

fn in_form(form: &Parameters) -> UaaResult<ClientCredentials> {
    if form.get("client_assertion").is_some() {
        let text = "Client assertions are not supported; send client_id and client_secret";
        return Err(UaaError::invalid_request(text));
    }
    let client_id = form
        .get("client_id")
        .ok_or_else(UaaError::bad_credentials)?;
    Ok(ClientCredentials {
        client_id: client_id.to_owned(),
        secret: Secret::new(form.get_or_empty("client_secret").to_owned()),
    })
}
