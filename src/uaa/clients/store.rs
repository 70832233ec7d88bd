//! SQL of `oauth_clients`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{AutoApprove, Client, GrantType};
use crate::base::Timestamp;
use crate::db::{DbError, ReadTx, WriteTx};
use crate::uaa::search::Search;
use crate::uaa::search::{Source, search};

macro_rules! select_clients {
    ($rest:literal) => {
        concat!(
            "select client_id, name, secret, second_secret, grant_types, scopes, authorities,
    redirect_uris, resource_ids, auto_approve, access_validity, refresh_validity, built_in,
    generation, created_at, updated_at
from oauth_clients ",
            $rest
        )
    };
}

const FIND: &str = select_clients!("where client_id = :client_id");

const LIST: Source = Source {
    select: select_clients!(""),
    table: "oauth_clients",
    key: "client_id",
};

const UPSERT: &str = "insert into oauth_clients (client_id, name, secret, grant_types, scopes,
    authorities, redirect_uris, auto_approve, built_in, created_at, updated_at)
values (:client_id, :name, :secret, :grant_types, :scopes,
    :authorities, :redirect_uris, :auto_approve, 1, :created_at, :updated_at)
on conflict (client_id) do update set
    name = excluded.name,
    grant_types = excluded.grant_types,
    scopes = excluded.scopes,
    authorities = excluded.authorities,
    redirect_uris = excluded.redirect_uris,
    auto_approve = excluded.auto_approve,
    built_in = 1,
    updated_at = excluded.updated_at
where (name, grant_types, scopes, authorities, redirect_uris, auto_approve, built_in)
    is not (excluded.name, excluded.grant_types, excluded.scopes, excluded.authorities,
        excluded.redirect_uris, excluded.auto_approve, 1)";

const INSERT: &str = "insert into oauth_clients (client_id, name, secret, second_secret,
    grant_types, scopes, authorities, redirect_uris, resource_ids, auto_approve, access_validity,
    refresh_validity, generation, created_at, updated_at)
values (:client_id, :name, :secret, :second_secret,
    :grant_types, :scopes, :authorities, :redirect_uris, :resource_ids, :auto_approve,
    :access_validity, :refresh_validity, :generation, :now, :now)
on conflict (client_id) do nothing";

const UPDATE: &str = "update oauth_clients set name = :name, secret = :secret,
    second_secret = :second_secret, grant_types = :grant_types, scopes = :scopes,
    authorities = :authorities, redirect_uris = :redirect_uris, resource_ids = :resource_ids,
    auto_approve = :auto_approve, access_validity = :access_validity,
    refresh_validity = :refresh_validity, generation = :generation, updated_at = :now
where client_id = :client_id";

const DELETE: &str = "delete from oauth_clients where client_id = :client_id";

const RAISE_GENERATION: &str = "update oauth_clients set generation = generation + 1
where client_id = :client_id";

fn client(row: &Row<'_>) -> rusqlite::Result<Client> {
    let text = |name: &str| row.get::<_, String>(name);
    Ok(Client {
        client_id: row.get("client_id")?,
        name: row.get("name")?,
        sealed_secret: row.get("secret")?,
        sealed_second_secret: row.get("second_secret")?,
        grant_types: grant_types(&text("grant_types")?),
        scopes: row.get("scopes")?,
        authorities: row.get("authorities")?,
        redirect_uris: words(&text("redirect_uris")?),
        resource_ids: words(&text("resource_ids")?),
        auto_approve: AutoApprove::parse(&text("auto_approve")?),
        access_validity: row.get("access_validity")?,
        refresh_validity: row.get("refresh_validity")?,
        built_in: row.get("built_in")?,
        generation: row.get("generation")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn words(list: &str) -> Vec<String> {
    list.split_whitespace().map(str::to_owned).collect()
}

/// A grant type that an older version stored and this one does not know is skipped.
fn grant_types(list: &str) -> Vec<GrantType> {
    list.split_whitespace()
        .filter_map(GrantType::parse)
        .collect()
}

fn joined(grants: &[GrantType]) -> String {
    let names: Vec<&str> = grants.iter().map(|grant| grant.as_str()).collect();
    names.join(" ")
}

/// The client with this id.
pub(crate) fn find_client(tx: &ReadTx<'_>, client_id: &str) -> Result<Option<Client>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND)?;
    let found = statement.query_row(named_params! { ":client_id": client_id }, client);
    Ok(found.optional()?)
}

/// One page of clients, and the total count.
pub(super) fn list(tx: &ReadTx<'_>, wanted: &Search) -> Result<(Vec<Client>, i64), DbError> {
    search(tx, &LIST, wanted, client)
}

/// Writes one of the platform's clients; an existing one keeps its secret.
pub(super) fn upsert_keeping_secret(tx: &WriteTx<'_>, client: &Client) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(UPSERT)?;
    statement.execute(named_params! {
        ":client_id": client.client_id,
        ":name": client.name,
        ":secret": client.sealed_secret,
        ":grant_types": joined(&client.grant_types),
        ":scopes": client.scopes,
        ":authorities": client.authorities,
        ":redirect_uris": client.redirect_uris.join(" "),
        ":auto_approve": client.auto_approve.to_string(),
        ":created_at": client.created_at,
        ":updated_at": client.updated_at,
    })?;
    Ok(())
}

/// Inserts a new client; false when its id is taken.
pub(super) fn insert(tx: &WriteTx<'_>, client: &Client) -> Result<bool, DbError> {
    write(tx, INSERT, client, client.created_at)
}

/// Updates a client.
pub(super) fn update(tx: &WriteTx<'_>, client: &Client) -> Result<bool, DbError> {
    write(tx, UPDATE, client, client.updated_at)
}

fn write(tx: &WriteTx<'_>, sql: &str, client: &Client, now: Timestamp) -> Result<bool, DbError> {
    let mut statement = tx.sql().prepare_cached(sql)?;
    let written = statement.execute(named_params! {
        ":client_id": client.client_id,
        ":name": client.name,
        ":secret": client.sealed_secret,
        ":second_secret": client.sealed_second_secret,
        ":grant_types": joined(&client.grant_types),
        ":scopes": client.scopes,
        ":authorities": client.authorities,
        ":redirect_uris": client.redirect_uris.join(" "),
        ":resource_ids": client.resource_ids.join(" "),
        ":auto_approve": client.auto_approve.to_string(),
        ":access_validity": client.access_validity,
        ":refresh_validity": client.refresh_validity,
        ":generation": client.generation,
        ":now": now,
    })?;
    Ok(written == 1)
}

/// Deletes a client; its tokens, codes and approvals go with it.
pub(super) fn delete(tx: &WriteTx<'_>, client_id: &str) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(DELETE)?;
    statement.execute(named_params! { ":client_id": client_id })?;
    Ok(())
}

/// Invalidates what is being issued through the client at this moment.
pub(crate) fn raise_generation(tx: &WriteTx<'_>, client_id: &str) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(RAISE_GENERATION)?;
    statement.execute(named_params! { ":client_id": client_id })?;
    Ok(())
}
