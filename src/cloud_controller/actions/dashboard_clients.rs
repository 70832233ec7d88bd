//! OAuth clients of brokers' dashboards, so that their users sign in with the platform's accounts.
//!
//! A client belongs to the broker whose catalog names it: it changes with the catalog and ends with
//! the broker (CC's `DashboardClientManager`).

use crate::base::guid::ServiceBrokerGuid;
use crate::base::{Secret, Timestamp};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::db::{ReadTx, Vault, WriteTx};
use crate::marketplace::catalog::{DashboardClient, Service};
use crate::uaa::{self, UaaError};

/// Whether another broker, or nobody's broker, has the client that an offering wants.
pub(crate) fn is_taken(
    tx: &ReadTx<'_>,
    broker: &ServiceBrokerGuid,
    wanted: &DashboardClient,
) -> Result<bool> {
    match model::service_dashboard_clients::owner(tx, &wanted.id)? {
        Some(owner) => Ok(owner != *broker),
        None => uaa::is_client(tx, &wanted.id).map_err(refused),
    }
}

/// Makes a broker's clients those of its catalog.
pub(crate) fn synchronize(
    tx: &WriteTx<'_>,
    vault: &Vault,
    broker: &ServiceBrokerGuid,
    catalog: &[Service],
    now: Timestamp,
) -> Result<()> {
    let wanted = catalog
        .iter()
        .filter_map(|service| service.dashboard_client.as_ref());
    let wanted: Vec<&DashboardClient> = wanted.collect();
    for old in model::service_dashboard_clients::of_broker(tx, broker)? {
        if !wanted.iter().any(|client| client.id == old) {
            uaa::delete_dashboard_client(tx, &old).map_err(refused)?;
            model::service_dashboard_clients::release(tx, &old)?;
        }
    }
    for client in wanted {
        let secret = Secret::new(client.secret.clone());
        let saved = uaa::DashboardClient {
            client_id: &client.id,
            secret: &secret,
            redirect_uri: &client.redirect_uri,
        };
        uaa::save_dashboard_client(tx, vault, &saved, now).map_err(refused)?;
        model::service_dashboard_clients::claim(tx, &client.id, broker)?;
    }
    Ok(())
}

/// Ends the clients of a broker that is deleted.
pub(crate) fn remove_all(tx: &WriteTx<'_>, broker: &ServiceBrokerGuid) -> Result<()> {
    for client in model::service_dashboard_clients::of_broker(tx, broker)? {
        uaa::delete_dashboard_client(tx, &client).map_err(refused)?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn refused(error: UaaError) -> Error {
    if error.is_ours() {
        Error::internal("the client of a dashboard cannot be stored")
    } else {
        Error::unprocessable(error.description())
    }
}
