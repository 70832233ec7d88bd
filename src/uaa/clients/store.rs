//! SQL of `oauth_clients`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Client, GrantType};
use crate::db::{DbError, ReadTx, WriteTx};

const FIND: &str = "select client_id, name, secret, grant_types, scopes, authorities,
    redirect_uris, created_at, updated_at
from oauth_clients where client_id = :client_id";

const UPSERT: &str = "insert into oauth_clients (client_id, name, secret, grant_types, scopes,
    authorities, redirect_uris, created_at, updated_at)
values (:client_id, :name, :secret, :grant_types, :scopes,
    :authorities, :redirect_uris, :created_at, :updated_at)
on conflict (client_id) do update set
    name = excluded.name,
    grant_types = excluded.grant_types,
    scopes = excluded.scopes,
    authorities = excluded.authorities,
    updated_at = excluded.updated_at
where (name, grant_types, scopes, authorities)
    is not (excluded.name, excluded.grant_types, excluded.scopes, excluded.authorities)";

fn client(row: &Row<'_>) -> rusqlite::Result<Client> {
    Ok(Client {
        client_id: row.get("client_id")?,
        name: row.get("name")?,
        sealed_secret: row.get("secret")?,
        grant_types: grant_types(row.get_ref("grant_types")?.as_str()?),
        scopes: row.get("scopes")?,
        authorities: row.get("authorities")?,
        redirect_uris: words(row.get_ref("redirect_uris")?.as_str()?),
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn words(list: &str) -> Vec<String> {
    list.split_whitespace().map(str::to_owned).collect()
}

/// A grant type that an older version wrote and this one no longer knows is none.
fn grant_types(list: &str) -> Vec<GrantType> {
    list.split_whitespace()
        .filter_map(GrantType::parse)
        .collect()
}

/// The client with this id.
pub fn find_client(tx: &ReadTx<'_>, client_id: &str) -> Result<Option<Client>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND)?;
    let found = statement.query_row(named_params! { ":client_id": client_id }, client);
    Ok(found.optional()?)
}

/// Writes a client of ours; one that exists keeps its secret.
pub(super) fn upsert_keeping_secret(tx: &WriteTx<'_>, client: &Client) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(UPSERT)?;
    statement.execute(named_params! {
        ":client_id": client.client_id,
        ":name": client.name,
        ":secret": client.sealed_secret,
        ":grant_types": client.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" "),
        ":scopes": client.scopes,
        ":authorities": client.authorities,
        ":redirect_uris": client.redirect_uris.join(" "),
        ":created_at": client.created_at,
        ":updated_at": client.updated_at,
    })?;
    Ok(())
}
