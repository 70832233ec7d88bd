//! Where brokers are, and how to sign in there.

use crate::base::Secret;
use crate::base::guid::ServiceBrokerGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::db::{ReadTx, Vault};
use crate::marketplace::Broker;
use crate::marketplace::request::host;

/// Where a broker is; `None` = it is gone.
pub(super) fn find(tx: &ReadTx<'_>, vault: &Vault, guid: &str) -> Result<Option<Broker>> {
    let guid = ServiceBrokerGuid::from(guid);
    let Some(broker) = model::service_brokers::find(tx, &guid)? else {
        return Ok(None);
    };
    let credentials = model::service_brokers::credentials(tx, vault, &guid)?;
    Ok(Some(Broker {
        has_own_domain: has_own_domain(tx, &broker.url)?,
        url: broker.url,
        username: credentials.username,
        password: Secret::new(credentials.password),
        version: broker.api_version,
    }))
}

/// Whether a URL is of a domain of this platform.
pub(super) fn has_own_domain(tx: &ReadTx<'_>, url: &str) -> Result<bool> {
    model::domains::contain(tx, &host(url))
}
