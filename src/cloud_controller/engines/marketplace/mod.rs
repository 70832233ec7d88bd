//! The marketplace's view of service operations: what to ask brokers, and what comes of it.
//!
//! An operation is begun in one transaction, which says what to ask, and ended in another, which
//! stores the outcome together with everything that follows from it: the instance or binding, its
//! last operation, the job, events, what may be left behind, and the work that waited for it.

mod bindings;
mod bound;
mod brokers;
mod cascades;
mod catalogs;
mod instances;
mod orphans;
mod requests;
mod stand_ins;
mod turn;

use crate::base::guid::ServiceBrokerGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{Operation, Work};
use crate::cloud_controller::{actions, model};
use crate::db::{DbError, ReadTx, Vault, WriteTx};
use crate::marketplace::{Asked, Broker, Open, Operations, Request, Step};
use turn::Turn;

pub(crate) use stand_ins::{StandInMode, StandIns};

/// What to ask the broker of an instance about it; `None` = it is user-provided, or its broker tells
/// nothing.
pub(crate) fn fetch_instance(
    tx: &ReadTx<'_>,
    vault: &Vault,
    instance: &ServiceInstance,
) -> Result<Option<(Broker, Request)>> {
    let plan = actions::service_operations::plan_of(tx, instance)?;
    let Some(plan) = plan.filter(|plan| plan.offering.instances_retrievable) else {
        return Ok(None);
    };
    let broker = brokers::find(tx, vault, plan.offering.broker_guid.as_str())?;
    let instance = instance.guid.to_string();
    stand_ins::redirected(tx, vault, broker, Request::FetchInstance { instance })
}

/// The same of a binding of an instance.
pub(crate) fn fetch_binding(
    tx: &ReadTx<'_>,
    vault: &Vault,
    instance: &ServiceInstance,
    binding: &str,
) -> Result<Option<(Broker, Request)>> {
    let plan = actions::service_operations::plan_of(tx, instance)?;
    let Some(plan) = plan.filter(|plan| plan.offering.bindings_retrievable) else {
        return Ok(None);
    };
    let broker = brokers::find(tx, vault, plan.offering.broker_guid.as_str())?;
    let request = Request::FetchBinding {
        instance: instance.guid.to_string(),
        binding: binding.to_owned(),
        declared: requests::declared(&plan),
    };
    stand_ins::redirected(tx, vault, broker, request)
}

/// The rows of service operations for the marketplace.
pub(crate) struct BrokerQueue {
    /// For parameters and credentials.
    pub vault: Vault,
    /// For events and what is made anew.
    pub guids: GuidSource,
    /// For services whose brokers are elsewhere.
    pub stand_ins: StandIns,
}

impl Operations for BrokerQueue {
    fn open(&self, tx: &ReadTx<'_>) -> Result<Vec<Open>, DbError> {
        let open = model::service_operations::open(tx)?;
        let open = open.into_iter();
        Ok(open
            .map(|(id, broker, due)| Open { id, broker, due })
            .collect())
    }

    fn begin(&self, tx: &WriteTx<'_>, id: i64, now: Timestamp) -> Result<Option<Step>, DbError> {
        self.try_begin(tx, id, now).map_err(interrupted)
    }

    fn done(&self, tx: &WriteTx<'_>, id: i64, asked: Asked, now: Timestamp) -> Result<(), DbError> {
        self.try_done(tx, id, asked, now).map_err(interrupted)
    }
}

fn interrupted(error: Error) -> DbError {
    DbError::Interrupted(format!("a service operation: {error}"))
}

impl BrokerQueue {
    fn turn<'a>(&'a self, tx: &'a WriteTx<'a>, operation: &Operation, now: Timestamp) -> Turn<'a> {
        Turn {
            tx,
            vault: &self.vault,
            stand_ins: &self.stand_ins,
            by: Recorder {
                actor: operation.actor.clone(),
                now,
                guids: self.guids.clone(),
            },
        }
    }

    fn try_begin(&self, tx: &WriteTx<'_>, id: i64, now: Timestamp) -> Result<Option<Step>> {
        let Some(operation) = model::service_operations::find(tx, id)? else {
            return Ok(None);
        };
        let turn = self.turn(tx, &operation, now);
        match operation.work {
            Work::RegisterBroker | Work::UpdateBroker => catalogs::begin(&turn, operation),
            Work::CreateInstance | Work::UpdateInstance | Work::DeleteInstance => {
                instances::begin(&turn, operation)
            }
            Work::Bind | Work::BindRoute | Work::Unbind | Work::UnbindRoute => {
                bindings::begin(&turn, operation)
            }
            Work::RemoveOrphan => orphans::begin(&turn, operation),
            Work::DeleteApp
            | Work::DeleteRoute
            | Work::DeleteSpace
            | Work::DeleteOrganization
            | Work::Unshare
            | Work::ApplyManifest => cascades::begin(&turn, operation).map(|()| None),
        }
    }

    fn try_done(&self, tx: &WriteTx<'_>, id: i64, asked: Asked, now: Timestamp) -> Result<()> {
        let Some(operation) = model::service_operations::find(tx, id)? else {
            return Ok(());
        };
        if let Some(version) = asked.version {
            remember_version(tx, &operation.broker, version)?;
        }
        let turn = self.turn(tx, &operation, now);
        match operation.work {
            Work::RegisterBroker | Work::UpdateBroker => {
                catalogs::done(&turn, operation, asked.outcome)
            }
            Work::CreateInstance | Work::UpdateInstance | Work::DeleteInstance => {
                instances::done(&turn, operation, asked.outcome)
            }
            Work::Bind | Work::BindRoute | Work::Unbind | Work::UnbindRoute => {
                bindings::done(&turn, operation, asked.outcome)
            }
            Work::RemoveOrphan => orphans::done(&turn, operation, asked.outcome),
            Work::DeleteApp
            | Work::DeleteRoute
            | Work::DeleteSpace
            | Work::DeleteOrganization
            | Work::Unshare
            | Work::ApplyManifest => Err(Error::internal("work that asks nobody was answered")),
        }
    }
}

/// What a broker refused once is not announced to it again.
fn remember_version(tx: &WriteTx<'_>, broker: &str, version: String) -> Result<()> {
    let guid = ServiceBrokerGuid::from(broker);
    let found = model::service_brokers::find(tx, &guid)?;
    let changed = found.filter(|broker| broker.api_version.as_ref() != Some(&version));
    if let Some(mut broker) = changed {
        broker.api_version = Some(version);
        model::service_brokers::update(tx, &broker)?;
    }
    Ok(())
}
