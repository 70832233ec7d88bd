//! What can be done to service brokers, inside the caller's transaction; their catalogs are taken over
//! by the worker.

use crate::base::guid::{JobGuid, ServiceBrokerGuid};
use crate::cloud_controller::actions::service_instances::job;
use crate::cloud_controller::actions::service_operations::Asked;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::service_brokers::{BrokerState, ServiceBroker};
use crate::cloud_controller::model::service_operations::{
    BrokerChange, Input, OperationSecret, Work,
};
use crate::cloud_controller::payload::service_brokers::{CreateBroker, UpdateBroker};
use crate::cloud_controller::permits::MayChangeBroker;
use crate::cloud_controller::{actions, model};
use crate::db::{Vault, WriteTx};

/// Stores a broker; the worker asks for its catalog.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    vault: &Vault,
    wanted: CreateBroker,
) -> Result<JobGuid> {
    may.covers(wanted.space.as_ref())?;
    let broker = ServiceBroker {
        guid: ServiceBrokerGuid::generate(&may.guids),
        name: wanted.name,
        url: wanted.url,
        space_guid: wanted.space,
        state: BrokerState::Synchronizing,
        api_version: None,
        created_at: may.now,
        updated_at: may.now,
    };
    model::service_brokers::insert(tx, vault, &broker, &wanted.credentials)?;
    let guid = broker.guid.as_str();
    wanted
        .metadata
        .store(tx, ResourceType::ServiceBroker, guid)?;
    actions::service_events::of_broker(tx, may, "create", &broker, &wanted.request)?;
    let job = job(tx, may, "service_broker.catalog.synchronize", guid)?;
    let asked = Asked {
        work: Work::RegisterBroker,
        resource: guid,
        broker: guid,
        parent: None,
        job: Some(&job),
        input: Input::default(),
    };
    actions::service_operations::enqueue(tx, may, &asked)?;
    Ok(job)
}

/// Changes metadata alone.
pub(crate) fn update_metadata(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    broker: &ServiceBroker,
    metadata: &MetadataChange,
) -> Result<()> {
    may.covers(broker.space_guid.as_ref())?;
    metadata.store(tx, ResourceType::ServiceBroker, broker.guid.as_str())
}

/// Puts a change of a broker on record; nothing of it is stored before its catalog is.
pub(crate) fn start_update(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    vault: &Vault,
    mut broker: ServiceBroker,
    wanted: UpdateBroker,
) -> Result<JobGuid> {
    may.covers(broker.space_guid.as_ref())?;
    if let Some(name) = &wanted.name
        && model::service_brokers::is_taken(tx, name, &broker.guid)?
    {
        return Err(Error::unprocessable("Name must be unique"));
    }
    if broker.state.is_transitional() {
        return Err(Error::unprocessable(
            "Cannot update a broker when other operation is already in progress",
        ));
    }
    let previous = broker.state;
    broker.state = BrokerState::Synchronizing;
    model::service_brokers::update(tx, &broker)?;
    actions::service_events::of_broker(tx, may, "update", &broker, &wanted.request)?;
    let guid = broker.guid.as_str();
    let job = job(tx, may, "service_broker.update", guid)?;
    let asked = Asked {
        work: Work::UpdateBroker,
        resource: guid,
        broker: guid,
        parent: None,
        job: Some(&job),
        input: Input {
            broker: Some(BrokerChange {
                name: wanted.name,
                url: wanted.url,
                metadata: wanted.metadata,
                previous,
            }),
            ..Input::default()
        },
    };
    let secret = OperationSecret {
        parameters: None,
        credentials: wanted.credentials,
    };
    actions::service_operations::enqueue_with(tx, may, vault, &asked, &secret)?;
    Ok(job)
}

/// Deletes a broker without instances, and what it offers.
pub(crate) fn delete(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    broker: &ServiceBroker,
) -> Result<()> {
    may.covers(broker.space_guid.as_ref())?;
    if model::service_brokers::has_instances(tx, &broker.guid)?
        || model::service_stand_ins::are_of(tx, &broker.guid)?
    {
        return Err(Error::new(
            Kind::ServiceBrokerNotRemovable,
            format!(
                "Can not remove brokers that have associated service instances: {}",
                broker.name
            ),
        ));
    }
    let request = serde_json::json!({});
    actions::service_events::of_broker(tx, may, "delete", broker, &request)?;
    remove(tx, broker)
}

/// Removes a broker with what belongs to it.
pub(crate) fn remove(tx: &WriteTx<'_>, broker: &ServiceBroker) -> Result<()> {
    model::service_operations::delete_orphans_of(tx, broker.guid.as_str())?;
    actions::dashboard_clients::remove_all(tx, &broker.guid)?;
    model::service_brokers::delete(tx, &broker.guid)
}
