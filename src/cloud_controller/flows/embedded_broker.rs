//! The broker in this process, as the marketplace has it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::base::guid::{ServiceBrokerGuid, ServicePlanGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::catalog::{conflicts, synchronize};
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::service_brokers::{
    BrokerCredentials, BrokerState, ServiceBroker,
};
use crate::db::{Vault, WriteTx};
use crate::marketplace::catalog;

/// Its name.
pub(crate) const NAME: &str = "cflite";

/// What the platform knows of it.
pub(crate) struct Known<'a> {
    /// Where it is asked.
    pub url: &'a str,
    /// How to sign in.
    pub credentials: &'a BrokerCredentials,
    /// The broker it was before; `None` at the first start.
    pub broker: Option<ServiceBrokerGuid>,
    /// Its catalog, when it is another one than before.
    pub catalog: Option<&'a Map<String, Value>>,
}

/// Brings the broker up to date, and returns its guid. New plans are for everybody. One that somebody
/// deleted does not come back, and there is none while another broker has its name.
pub(crate) fn bring_up_to_date(
    tx: &WriteTx<'_>,
    vault: &Vault,
    by: &Recorder,
    known: &Known<'_>,
) -> Result<Option<ServiceBrokerGuid>> {
    let broker = match &known.broker {
        Some(guid) => match model::service_brokers::find(tx, guid)? {
            Some(broker) => with_url(tx, broker, known.url)?,
            None => return Ok(known.broker.clone()),
        },
        None => match register(tx, vault, by, known)? {
            Some(broker) => broker,
            None => return Ok(None),
        },
    };
    if let Some(catalog) = known.catalog {
        take_over(tx, (vault, by), &broker, catalog)?;
    }
    Ok(Some(broker.guid))
}

fn with_url(tx: &WriteTx<'_>, mut broker: ServiceBroker, url: &str) -> Result<ServiceBroker> {
    if broker.url != url {
        url.clone_into(&mut broker.url);
        model::service_brokers::update(tx, &broker)?;
    }
    Ok(broker)
}

fn register(
    tx: &WriteTx<'_>,
    vault: &Vault,
    by: &Recorder,
    known: &Known<'_>,
) -> Result<Option<ServiceBroker>> {
    let broker = ServiceBroker {
        guid: ServiceBrokerGuid::generate(&by.guids),
        name: NAME.to_owned(),
        url: known.url.to_owned(),
        space_guid: None,
        state: BrokerState::Available,
        api_version: None,
        created_at: by.now,
        updated_at: by.now,
    };
    if model::service_brokers::is_taken(tx, NAME, &broker.guid)? {
        tracing::warn!(
            name = NAME,
            "a service broker with the name of the embedded one is registered; there are no data services"
        );
        return Ok(None);
    }
    model::service_brokers::insert(tx, vault, &broker, known.credentials)?;
    Ok(Some(broker))
}

fn take_over(
    tx: &WriteTx<'_>,
    (vault, by): (&Vault, &Recorder),
    broker: &ServiceBroker,
    catalog: &Map<String, Value>,
) -> Result<()> {
    let services = catalog::read(catalog);
    let services = services.map_err(|faults| Error::internal(faults.to_string()))?;
    let faults = conflicts(tx, broker, &services)?;
    if !faults.is_empty() {
        tracing::warn!("the catalog of data services is not taken over: {faults}");
        return Ok(());
    }
    let before: BTreeSet<ServicePlanGuid> =
        { model::service_plans::of_broker(tx, &broker.guid)?.into_iter() }
            .map(|plan| plan.guid)
            .collect();
    synchronize(tx, vault, by, broker, &services)?;
    for mut plan in model::service_plans::of_broker(tx, &broker.guid)? {
        if !before.contains(&plan.guid) {
            plan.public = true;
            model::service_plans::save(tx, &plan)?;
        }
    }
    Ok(())
}
