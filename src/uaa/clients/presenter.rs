//! Clients as UAA shows them, never with a secret.

use serde_json::{Value, json};

use super::{AutoApprove, Client, redirects};

pub(crate) const SCHEMA: &str = "http://cloudfoundry.org/schema/scim/oauth-clients-1.0";

/// A client.
pub(crate) fn present(client: &Client) -> Value {
    let grants: Vec<&str> = client
        .grant_types
        .iter()
        .map(|grant| grant.as_str())
        .collect();
    let redirects = client.redirect_uris.iter();
    let redirects: Vec<&String> = redirects
        .filter(|address| *address != redirects::CONSOLE)
        .collect();
    let auto_approve = match &client.auto_approve {
        AutoApprove::All => Value::Bool(true),
        AutoApprove::Scopes(scopes) => json!(scopes),
    };
    json!({
        "client_id": client.client_id,
        "name": client.name,
        "scope": client.scopes,
        "resource_ids": client.resource_ids,
        "authorized_grant_types": grants,
        "redirect_uri": redirects,
        "autoapprove": auto_approve,
        "authorities": client.authorities,
        "allowpublic": client.is_public(),
        "access_token_validity": client.access_lifetime().as_secs(),
        "refresh_token_validity": client.refresh_lifetime().as_secs(),
        "lastModified": client.updated_at.as_micros() / 1000,
    })
}
