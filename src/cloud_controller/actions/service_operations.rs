//! Putting work for brokers on record, inside the caller's transaction; its commit wakes the worker.

use serde_json::Value;

use crate::base::guid::JobGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::service_credential_bindings::CredentialBinding;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{
    Input, NewOperation, OperationSecret, Orphan, Progress, Work,
};
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::model::service_route_bindings::RouteBinding;
use crate::db::{ReadTx, Vault, WriteTx};

/// What is shown instead of secrets.
pub(crate) const HIDDEN: &str = "[PRIVATE DATA HIDDEN]";

/// Work to put on record.
pub(crate) struct Asked<'a> {
    pub work: Work,
    pub resource: &'a str,
    /// Whom it asks; empty = nobody.
    pub broker: &'a str,
    pub parent: Option<i64>,
    pub job: Option<&'a JobGuid>,
    pub input: Input,
}

/// Puts work without secrets on record.
pub(crate) fn enqueue(tx: &WriteTx<'_>, by: &Recorder, asked: &Asked<'_>) -> Result<i64> {
    model::service_operations::insert(tx, &new(by, asked, Progress::Due), None)
}

/// The same with parameters or credentials.
pub(crate) fn enqueue_with(
    tx: &WriteTx<'_>,
    by: &Recorder,
    vault: &Vault,
    asked: &Asked<'_>,
    secret: &OperationSecret,
) -> Result<i64> {
    let sealed = vault.encrypt(&serde_json::to_vec(secret)?)?;
    model::service_operations::insert(tx, &new(by, asked, Progress::Due), Some(&sealed))
}

/// Work that waits for other work from the start.
pub(crate) fn enqueue_waiting(tx: &WriteTx<'_>, by: &Recorder, asked: &Asked<'_>) -> Result<i64> {
    model::service_operations::insert(tx, &new(by, asked, Progress::Waiting), None)
}

fn new<'a>(by: &'a Recorder, asked: &'a Asked<'a>, progress: Progress) -> NewOperation<'a> {
    NewOperation {
        work: asked.work,
        resource: asked.resource,
        broker: asked.broker,
        parent: asked.parent,
        job: asked.job,
        actor: &by.actor,
        input: &asked.input,
        progress,
        now: by.now,
    }
}

/// A request as audit events show it.
pub(crate) fn redacted(mut request: Value) -> Value {
    for key in ["parameters", "credentials"] {
        if let Some(value) = request.get_mut(key) {
            *value = Value::from(HIDDEN);
        }
    }
    request
}

/// The plan of a managed instance.
pub(crate) fn plan_of(tx: &ReadTx<'_>, instance: &ServiceInstance) -> Result<Option<ServicePlan>> {
    match &instance.plan_guid {
        None => Ok(None),
        Some(guid) => model::service_plans::find(tx, guid),
    }
}

/// An instance that may be there although nobody wants it is deleted at its broker.
pub(crate) fn mitigate_instance(
    tx: &WriteTx<'_>,
    by: &Recorder,
    instance: &ServiceInstance,
) -> Result<()> {
    mitigate(tx, by, instance, None)
}

/// A binding that may be there although nobody wants it is deleted at its broker.
pub(crate) fn mitigate_binding(
    tx: &WriteTx<'_>,
    by: &Recorder,
    binding: &CredentialBinding,
) -> Result<()> {
    match model::service_instances::find(tx, &binding.instance_guid)? {
        None => Ok(()),
        Some(instance) => mitigate(tx, by, &instance, Some(binding.guid.as_str())),
    }
}

/// The same of a binding to a route.
pub(crate) fn mitigate_route_binding(
    tx: &WriteTx<'_>,
    by: &Recorder,
    binding: &RouteBinding,
) -> Result<()> {
    match model::service_instances::find(tx, &binding.instance_guid)? {
        None => Ok(()),
        Some(instance) => mitigate(tx, by, &instance, Some(binding.guid.as_str())),
    }
}

fn mitigate(
    tx: &WriteTx<'_>,
    by: &Recorder,
    instance: &ServiceInstance,
    binding: Option<&str>,
) -> Result<()> {
    let Some(plan) = plan_of(tx, instance)? else {
        return Ok(());
    };
    let input = Input {
        orphan: Some(Orphan {
            instance: instance.guid.to_string(),
            binding: binding.map(str::to_owned),
            service_id: plan.offering.catalog_id.clone(),
            plan_id: plan.catalog_id.clone(),
        }),
        ..Input::default()
    };
    let asked = Asked {
        work: Work::RemoveOrphan,
        resource: binding.unwrap_or(instance.guid.as_str()),
        broker: plan.offering.broker_guid.as_str(),
        parent: None,
        job: None,
        input,
    };
    enqueue(tx, by, &asked).map(drop)
}
