//! Changes to clients, each in its caller's transaction: the row, and the end of the tokens that
//! must not outlive the change.

use super::payload::{ChangeMode, NewClient, validate_secret};
use super::{Client, store};
use crate::base::{Secret, Timestamp};
use crate::db::{ReadTx, Vault, WriteTx};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::tokens::TokensOf;
use crate::uaa::tokens::revocations::Revocations;

/// Creates a client.
pub(super) fn create(tx: &WriteTx<'_>, vault: &Vault, new: NewClient) -> UaaResult<Client> {
    let mut client = new.client;
    client.sealed_secret = match &new.secret {
        Some(secret) if new.public && secret.expose().is_empty() => None,
        Some(secret) => Some(seal(secret, vault)?),
        None if new.public => None,
        None => return Err(UaaError::invalid_client("Client secret is required")),
    };
    if store::insert(tx, &client)? {
        Ok(client)
    } else {
        Err(UaaError::client_exists(&client.client_id))
    }
}

/// Replaces everything of a client except its secret.
pub(super) fn update(tx: &WriteTx<'_>, client_id: &str, new: NewClient) -> UaaResult<Client> {
    let before = changeable(tx, client_id)?;
    let after = Client {
        sealed_secret: before.sealed_secret,
        sealed_second_secret: before.sealed_second_secret,
        generation: before.generation,
        created_at: before.created_at,
        ..new.client
    };
    if after.client_id != client_id {
        let text = "The client_id in the body is not the one in the path";
        return Err(UaaError::invalid_client(text));
    }
    store::update(tx, &after)?;
    Ok(after)
}

/// Deletes a client and everything issued through it.
pub(super) fn delete(
    tx: &WriteTx<'_>,
    revocations: &Revocations,
    client_id: &str,
    now: Timestamp,
) -> UaaResult<Client> {
    let client = changeable(tx, client_id)?;
    revocations.end_tokens(tx, TokensOf::Client(client_id), now)?;
    store::delete(tx, client_id)?;
    Ok(client)
}

/// A change of a client's secrets.
pub(super) struct SecretChange {
    pub(super) mode: ChangeMode,
    /// The new one, unless one is removed.
    pub(super) secret: Option<Secret<String>>,
}

/// Changes the secrets of a client. When a secret is removed, everything issued before ends.
pub(super) fn change_secret(
    tx: &WriteTx<'_>,
    vault: &Vault,
    revocations: &Revocations,
    client_id: &str,
    change: &SecretChange,
    now: Timestamp,
) -> UaaResult<()> {
    let mut client = changeable(tx, client_id)?;
    let mode = change.mode;
    let sealed = match (mode, &change.secret) {
        (ChangeMode::Delete, _) => None,
        (ChangeMode::Update | ChangeMode::Add, Some(secret)) => Some(seal(secret, vault)?),
        (ChangeMode::Update | ChangeMode::Add, None) => {
            return Err(UaaError::invalid_client("A new secret must be provided"));
        }
    };
    match mode {
        ChangeMode::Update => {
            client.sealed_secret = sealed;
            client.sealed_second_secret = None;
        }
        ChangeMode::Add if client.sealed_second_secret.is_some() => {
            let text = "client secret is either empty or client already has two secrets.";
            return Err(UaaError::invalid_client(text));
        }
        ChangeMode::Add if client.is_public() => client.sealed_secret = sealed,
        ChangeMode::Add => client.sealed_second_secret = sealed,
        ChangeMode::Delete => {
            let second = client.sealed_second_secret.take();
            client.sealed_secret = Some(second.ok_or_else(|| {
                UaaError::invalid_client(
                    "client secret is either empty or client has only one secret.",
                )
            })?);
        }
    }
    client.updated_at = now;
    if mode != ChangeMode::Add {
        revocations.end_tokens(tx, TokensOf::Client(client_id), now)?;
        client.generation += 1;
    }
    store::update(tx, &client)?;
    Ok(())
}

fn seal(secret: &Secret<String>, vault: &Vault) -> UaaResult<Vec<u8>> {
    validate_secret(secret)?;
    Ok(vault.encrypt(secret.expose().as_bytes())?)
}

/// The client, or 404.
pub(super) fn existing(tx: &ReadTx<'_>, client_id: &str) -> UaaResult<Client> {
    let found = store::find_client(tx, client_id)?;
    found.ok_or_else(|| UaaError::not_found(format!("No client with requested id: {client_id}")))
}

fn changeable(tx: &ReadTx<'_>, client_id: &str) -> UaaResult<Client> {
    let client = existing(tx, client_id)?;
    if client.built_in {
        return Err(UaaError::access_denied(format!(
            "The client {client_id} belongs to the platform and cannot be changed"
        )));
    }
    Ok(client)
}
