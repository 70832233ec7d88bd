//! Clients of service brokers' dashboards: they come, change and go with a broker's catalog.

use super::{AutoApprove, Client, GrantType, redirects, store};
use crate::base::{Secret, Timestamp};
use crate::db::{Vault, WriteTx};
use crate::uaa::error::UaaResult;
use crate::uaa::scopes::{self, Scopes};

/// What a dashboard may learn of its visitors: who they are, and what they may do with a service.
const SCOPES: [&str; 2] = [scopes::OPENID, "cloud_controller_service_permissions.read"];

/// What a catalog says of its client.
#[derive(Debug)]
pub struct DashboardClient<'a> {
    /// Its id.
    pub client_id: &'a str,
    /// Its secret.
    pub secret: &'a Secret<String>,
    /// Where users come back to.
    pub redirect_uri: &'a str,
}

/// Makes a client, or changes the one with its id. Users approve what it learns of them.
pub fn save_dashboard_client(
    tx: &WriteTx<'_>,
    vault: &Vault,
    wanted: &DashboardClient<'_>,
    now: Timestamp,
) -> UaaResult<()> {
    redirects::validate(wanted.redirect_uri)?;
    let known = store::find_client(tx, wanted.client_id)?;
    let has_secret = match &known {
        None => false,
        Some(known) => known.has_secret(wanted.secret, vault)?,
    };
    let client = Client {
        client_id: wanted.client_id.to_owned(),
        name: wanted.client_id.to_owned(),
        sealed_secret: Some(vault.encrypt(wanted.secret.expose().as_bytes())?),
        sealed_second_secret: None,
        grant_types: vec![GrantType::AuthorizationCode],
        scopes: SCOPES.into_iter().collect(),
        authorities: [scopes::UAA_RESOURCE].into_iter().collect(),
        redirect_uris: vec![wanted.redirect_uri.to_owned()],
        resource_ids: vec!["none".to_owned()],
        auto_approve: AutoApprove::Scopes(Scopes::default()),
        access_validity: None,
        refresh_validity: None,
        built_in: false,
        generation: known.as_ref().map_or(0, |known| known.generation),
        created_at: known.as_ref().map_or(now, |known| known.created_at),
        updated_at: now,
    };
    if known.is_none() {
        store::insert(tx, &client)?;
        return Ok(());
    }
    store::update(tx, &client)?;
    if !has_secret {
        store::raise_generation(tx, wanted.client_id)?;
    }
    Ok(())
}

/// Whether somebody has this id.
pub fn is_client(tx: &crate::db::ReadTx<'_>, client_id: &str) -> UaaResult<bool> {
    Ok(store::find_client(tx, client_id)?.is_some())
}

/// Deletes a client; nothing can be issued through it any more.
pub fn delete_dashboard_client(tx: &WriteTx<'_>, client_id: &str) -> UaaResult<()> {
    Ok(store::delete(tx, client_id)?)
}
