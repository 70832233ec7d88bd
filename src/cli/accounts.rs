//! Accounts of the platform and their roles, made so that doing it twice is doing it once.

use anyhow::Context;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::client::Client;
use crate::base::Secret;

/// The account with a name, as the UAA knows it.
pub(super) async fn find(client: &Client, name: &str) -> anyhow::Result<Option<Value>> {
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    let filter = format!("userName eq \"{quoted}\" and origin eq \"uaa\"");
    let filter = utf8_percent_encode(&filter, NON_ALPHANUMERIC);
    client.first(&format!("/Users?filter={filter}")).await
}

/// The guid of the account with a name, which is made where it is missing. The password counts only
/// then. `owner` is kept as the external id of one that is made.
pub(super) async fn ensure(
    client: &Client,
    (name, email): (&str, &str),
    password: &Secret<String>,
    owner: Option<&str>,
) -> anyhow::Result<String> {
    let guid = if let Some(user) = find(client, name).await? {
        id(&user)?
    } else {
        let body = json!({
            "userName": name,
            "password": password.expose(),
            "emails": [{ "value": email, "primary": true }],
            "externalId": owner,
        });
        id(&client.post("/Users", &body).await?)?
    };
    // A run that was interrupted left an account that the Cloud Controller does not know.
    if client.find(&format!("/v3/users/{guid}")).await?.is_none() {
        client.post("/v3/users", &json!({ "guid": guid })).await?;
    }
    Ok(guid)
}

fn id(user: &Value) -> anyhow::Result<String> {
    let id = user["id"].as_str();
    Ok(id.context("the UAA's answer has no id")?.to_owned())
}

/// Gives a role in a `("space", guid)` or `("organization", guid)`, unless the user has it.
pub(super) async fn give(
    client: &Client,
    user: &str,
    role: &str,
    (scope, guid): (&str, &str),
) -> anyhow::Result<()> {
    let list = format!("/v3/roles?user_guids={user}&types={role}&{scope}_guids={guid}");
    let mut relationships = json!({ "user": { "data": { "guid": user } } });
    relationships[scope] = json!({ "data": { "guid": guid } });
    let body = json!({ "type": role, "relationships": relationships });
    client.ensure(&list, "/v3/roles", &body).await?;
    Ok(())
}

/// Gives an account another password.
pub(super) async fn set_password(
    client: &Client,
    guid: &str,
    password: &Secret<String>,
) -> anyhow::Result<()> {
    let body = json!({ "password": password.expose() });
    client
        .put_json(&format!("/Users/{guid}/password"), &body)
        .await?;
    Ok(())
}

/// Removes an account with its roles.
pub(super) async fn remove(client: &Client, guid: &str) -> anyhow::Result<()> {
    client.delete_job(&format!("/v3/users/{guid}")).await?;
    client.delete_job(&format!("/Users/{guid}")).await
}
