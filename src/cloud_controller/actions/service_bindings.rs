//! What can be done to bindings to apps and to keys, each inside the caller's transaction; what needs
//! a broker is put on record for the worker.

use serde_json::{Map, Value, json};

use crate::base::guid::{AppGuid, CredentialBindingGuid, JobGuid};
use crate::cloud_controller::actions::service_instances::job;
use crate::cloud_controller::actions::service_operations::{Asked, redacted};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::{Cause, Recorder};
use crate::cloud_controller::model::last_operations::{
    LastOperation, Operated, OperationState, OperationType,
};
use crate::cloud_controller::model::quotas::{Owner, quota};
use crate::cloud_controller::model::service_credential_bindings::{CredentialBinding, Secrets};
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{Input, OperationSecret, Work};
use crate::cloud_controller::payload::service_bindings::Strategy;
use crate::cloud_controller::permits::{MaySupport, MayWrite};
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, Vault, WriteTx};

/// How often an app can be bound to one instance: a binding is replaced by making another.
const MOST_BINDINGS: usize = 5;

/// A binding that is asked for.
pub(crate) struct NewBinding<'a> {
    pub instance: &'a ServiceInstance,
    pub name: Option<String>,
    pub strategy: Strategy,
    pub parameters: Option<Map<String, Value>>,
    pub metadata: MetadataChange,
    pub request: Value,
    pub cause: Cause,
    /// The work it is part of, and what precedes its faults.
    pub parent: Option<(i64, String)>,
}

/// What became of a request for a binding.
pub(crate) enum Bound {
    /// It is there.
    Done(Box<CredentialBinding>),
    /// The worker asks the broker; without a job it is part of other work.
    Started(Option<JobGuid>),
}

/// Stores how far an operation on a binding is.
pub(crate) fn set_operation(
    tx: &WriteTx<'_>,
    binding: &CredentialBinding,
    operation: LastOperation,
) -> Result<()> {
    let operation = operation.after(binding.last_operation.as_ref());
    let guid = binding.guid.as_str();
    model::last_operations::save(tx, Operated::CredentialBinding, guid, &operation)
}

/// Binds an app to an instance.
pub(crate) fn bind_app(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    vault: &Vault,
    app: &App,
    new: NewBinding<'_>,
) -> Result<Bound> {
    may.covers(&app.space_guid)?;
    let instance = new.instance;
    if !model::service_instances::is_available_in(tx, &instance.guid, &app.space_guid)? {
        return Err(Error::unprocessable(
            "The service instance and the app are in different spaces",
        ));
    }
    may_bind(tx, instance, "Service plan does not allow bindings")?;
    let mut count = 0;
    for other in model::service_credential_bindings::of_app(tx, &app.guid)? {
        if other.instance_guid == instance.guid {
            count += usize::from(stays(tx, may, &other, new.name.as_deref())?);
        } else if new.name.is_some() && other.name == new.name {
            return Err(Error::unprocessable(format!(
                "The binding name is invalid. Binding names must be unique for a given service instance and app. \
                 The app already has a binding with name '{}'.",
                new.name.unwrap_or_default()
            )));
        }
    }
    if new.strategy == Strategy::Multiple && count >= MOST_BINDINGS {
        return Err(Error::unprocessable(format!(
            "The app has too many bindings to this service instance (limit: {MOST_BINDINGS}). Consider deleting \
             existing/orphaned bindings."
        )));
    }
    if new.strategy == Strategy::Single && count >= 1 {
        return Err(Error::unprocessable(
            "The app is already bound to the service instance",
        ));
    }
    store(tx, may, vault, Some(app.guid.clone()), new)
}

/// Whether another binding of the same app and instance stays; one that could not be made is
/// replaced.
fn stays(
    tx: &WriteTx<'_>,
    by: &Recorder,
    other: &CredentialBinding,
    name: Option<&str>,
) -> Result<bool> {
    if other.is(OperationType::Create, OperationState::Failed) {
        actions::service_operations::mitigate_binding(tx, by, other)?;
        model::service_credential_bindings::delete(tx, &other.guid)?;
        return Ok(false);
    }
    let fault = if other.is_being_created() {
        format!(
            "There is already a binding in progress for this service instance and app (binding guid: {})",
            other.guid
        )
    } else if !other.create_succeeded() {
        "A binding for this service instance and app is getting deleted or its deletion failed"
            .to_owned()
    } else if other.name.as_deref() != name {
        "The binding name cannot be changed for the same app and service instance".to_owned()
    } else {
        return Ok(true);
    };
    Err(Error::unprocessable(fault))
}

/// Makes a key of an instance.
pub(crate) fn create_key(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    new: NewBinding<'_>,
) -> Result<Bound> {
    let instance = new.instance;
    may.covers(&instance.space_guid)?;
    if !instance.is_managed() {
        return Err(Error::unprocessable(
            "Service credential bindings of type 'key' are not supported for user-provided service instances.",
        ));
    }
    may_bind(tx, instance, "Service plan does not allow bindings.")?;
    let name = new.name.clone().unwrap_or_default();
    for other in model::service_credential_bindings::of_instance(tx, &instance.guid)? {
        if other.app_guid.is_none() && other.name.as_deref() == Some(&name) {
            replace_key(tx, may, &other, &name)?;
        }
    }
    keys_fit(tx, instance)?;
    store(tx, may, vault, None, new)
}

fn replace_key(
    tx: &WriteTx<'_>,
    by: &Recorder,
    other: &CredentialBinding,
    name: &str,
) -> Result<()> {
    const INVALID: &str = "The binding name is invalid. Key binding names must be unique. ";
    if other.is(OperationType::Create, OperationState::Failed) {
        actions::service_operations::mitigate_binding(tx, by, other)?;
        return model::service_credential_bindings::delete(tx, &other.guid);
    }
    let what = if other.create_succeeded() || other.is_being_created() {
        format!("The service instance already has a key binding with name '{name}'.")
    } else {
        format!(
            "The service instance already has a key binding with the name '{name}' that is getting deleted or its \
             deletion failed."
        )
    };
    Err(Error::unprocessable(format!("{INVALID}{what}")))
}

fn keys_fit(tx: &ReadTx<'_>, instance: &ServiceInstance) -> Result<()> {
    let space = &instance.space_guid;
    let (in_space, in_organization) = model::service_credential_bindings::key_counts(tx, space)?;
    for (owner, used) in [
        (Owner::Space, in_space),
        (Owner::Organization, in_organization),
    ] {
        let most = quota(tx, owner, space)?.and_then(|(_, limits)| limits.total_service_keys);
        if most.is_some_and(|most| used >= most) {
            return Err(Error::unprocessable(format!(
                "You have exceeded your {}'s limit for service binding of type key.",
                owner.as_str()
            )));
        }
    }
    Ok(())
}

/// Whether an instance can be bound at this time.
fn may_bind(tx: &ReadTx<'_>, instance: &ServiceInstance, not_bindable: &str) -> Result<()> {
    let Some(plan) = actions::service_operations::plan_of(tx, instance)? else {
        return Ok(());
    };
    if !plan.is_bindable() {
        return Err(Error::unprocessable(not_bindable));
    }
    if instance.create_failed() {
        return Err(Error::unprocessable("Service instance not found"));
    }
    if instance.is_busy() {
        return Err(Error::unprocessable(
            "There is an operation in progress for the service instance",
        ));
    }
    Ok(())
}

fn store(
    tx: &WriteTx<'_>,
    by: &Recorder,
    vault: &Vault,
    app: Option<AppGuid>,
    new: NewBinding<'_>,
) -> Result<Bound> {
    let instance = new.instance;
    let guid = CredentialBindingGuid::generate(&by.guids);
    let binding = CredentialBinding {
        guid: guid.clone(),
        name: new.name,
        instance_guid: instance.guid.clone(),
        app_guid: app,
        syslog_drain_url: None,
        last_operation: None,
        created_at: by.now,
        updated_at: by.now,
        space_guid: instance.space_guid.clone(),
        is_managed: instance.is_managed(),
        instance_name: instance.name.clone(),
        app_name: None,
    };
    model::service_credential_bindings::insert(tx, &binding)?;
    let (create, state) = (OperationType::Create, OperationState::Initial);
    set_operation(tx, &binding, LastOperation::new(create, state, by.now))?;
    let resource = ResourceType::ServiceCredentialBinding;
    new.metadata.store(tx, resource, guid.as_str())?;
    let request = redacted(new.request);
    let Some(plan) = actions::service_operations::plan_of(tx, instance)? else {
        let secrets = Secrets {
            credentials: Some(model::service_instances::credentials(
                tx,
                vault,
                &instance.guid,
            )?),
            volume_mounts: None,
        };
        let drain = instance.syslog_drain_url.clone();
        let found = complete(tx, by, vault, &binding, (drain.as_deref(), &secrets), None)?;
        record_created(tx, by, "create", &found, &request, new.cause)?;
        return Ok(Bound::Done(Box::new(found)));
    };
    let (parent, label) = match new.parent {
        Some((parent, label)) => (Some(parent), label),
        None => (None, String::new()),
    };
    let asked = Asking {
        binding: &binding,
        broker: plan.offering.broker_guid.as_str(),
        parent,
        input: Input {
            request,
            label,
            cause: Some(new.cause),
            ..Input::default()
        },
        parameters: new.parameters,
    };
    Ok(Bound::Started(asked.store(tx, by, vault)?))
}

/// What the worker is to ask a broker for.
struct Asking<'a> {
    binding: &'a CredentialBinding,
    broker: &'a str,
    parent: Option<i64>,
    input: Input,
    parameters: Option<Map<String, Value>>,
}

impl Asking<'_> {
    /// Stores it, with a job unless it is part of other work.
    fn store(self, tx: &WriteTx<'_>, by: &Recorder, vault: &Vault) -> Result<Option<JobGuid>> {
        let operation = match self.binding.app_guid {
            Some(_) => "service_bindings.create",
            None => "service_keys.create",
        };
        let guid = self.binding.guid.as_str();
        let job = match self.parent {
            Some(_) => None,
            None => Some(job(tx, by, operation, guid)?),
        };
        let asked = Asked {
            work: Work::Bind,
            resource: guid,
            broker: self.broker,
            parent: self.parent,
            job: job.as_ref(),
            input: self.input,
        };
        let secret = OperationSecret {
            parameters: self.parameters,
            credentials: None,
        };
        actions::service_operations::enqueue_with(tx, by, vault, &asked, &secret)?;
        Ok(job)
    }
}

/// Stores what a new binding gives.
pub(crate) fn complete(
    tx: &WriteTx<'_>,
    by: &Recorder,
    vault: &Vault,
    binding: &CredentialBinding,
    (drain, secrets): (Option<&str>, &Secrets),
    description: Option<&str>,
) -> Result<CredentialBinding> {
    let guid = &binding.guid;
    model::service_credential_bindings::set_details(tx, vault, guid, drain, secrets)?;
    let (create, state) = (OperationType::Create, OperationState::Succeeded);
    let mut operation = LastOperation::new(create, state, by.now);
    operation.description = description.map(str::to_owned);
    set_operation(tx, binding, operation)?;
    let found = model::service_credential_bindings::find(tx, guid)?;
    found.ok_or_else(|| Error::internal("a binding that was just there"))
}

/// Writes `create` or `start_create`.
pub(crate) fn record_created(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    binding: &CredentialBinding,
    request: &Value,
    cause: Cause,
) -> Result<()> {
    let data = cause.mark(json!({ "request": request }));
    actions::service_events::of_binding(tx, by, what, binding, &data)
}

/// 422 while a binding cannot be deleted.
pub(crate) fn refuse_blocked(
    tx: &ReadTx<'_>,
    binding: &CredentialBinding,
    instance: &ServiceInstance,
) -> Result<()> {
    let initial = binding.is(OperationType::Create, OperationState::Initial);
    let deleting = binding.is_being_deleted() || is_being_deleted(tx, binding.guid.as_str())?;
    if binding.is_managed && (initial || deleting) {
        return Err(Error::unprocessable(
            "There is an operation in progress for the service binding.",
        ));
    }
    if instance.is_busy() {
        return Err(Error::unprocessable(
            "There is an operation in progress for the service instance.",
        ));
    }
    Ok(())
}

/// Whether the deletion of a binding is on record.
pub(crate) fn is_being_deleted(tx: &ReadTx<'_>, guid: &str) -> Result<bool> {
    let all = model::service_operations::of_resource(tx, guid)?;
    let deletes = |work: Work| matches!(work, Work::Unbind | Work::UnbindRoute);
    Ok(all.iter().any(|operation| deletes(operation.work)))
}

/// Deletes a binding of a user-provided instance.
pub(crate) fn delete(tx: &WriteTx<'_>, by: &Recorder, binding: &CredentialBinding) -> Result<()> {
    let data = actions::service_events::deleted(binding);
    actions::service_events::of_binding(tx, by, "delete", binding, &data)?;
    model::service_credential_bindings::delete(tx, &binding.guid)
}

/// Deletes the row of a binding whose broker is told later.
pub(crate) fn forget(tx: &WriteTx<'_>, by: &Recorder, binding: &CredentialBinding) -> Result<()> {
    actions::service_operations::mitigate_binding(tx, by, binding)?;
    delete(tx, by, binding)
}

/// Puts the deletion of a binding on record, as part of other work if there is a parent.
pub(crate) fn start_delete(
    tx: &WriteTx<'_>,
    by: &Recorder,
    (binding, instance): (&CredentialBinding, &ServiceInstance),
    parent: Option<i64>,
) -> Result<Option<JobGuid>> {
    let operation = if binding.app_guid.is_some() {
        "service_bindings.delete"
    } else {
        "service_keys.delete"
    };
    let what = (Work::Unbind, operation, binding.guid.as_str());
    start_unbind(tx, by, what, instance, parent)
}

/// The same of a binding of either kind: the work, its job's operation and the binding's guid.
pub(crate) fn start_unbind(
    tx: &WriteTx<'_>,
    by: &Recorder,
    (work, operation, guid): (Work, &str, &str),
    instance: &ServiceInstance,
    parent: Option<i64>,
) -> Result<Option<JobGuid>> {
    let plan = actions::service_operations::plan_of(tx, instance)?;
    let plan = plan.ok_or_else(|| Error::internal("a managed instance without a plan"))?;
    let job = match parent {
        Some(_) => None,
        None => Some(job(tx, by, operation, guid)?),
    };
    let asked = Asked {
        work,
        resource: guid,
        broker: plan.offering.broker_guid.as_str(),
        parent,
        job: job.as_ref(),
        input: Input::default(),
    };
    actions::service_operations::enqueue(tx, by, &asked)?;
    Ok(job)
}

/// Changes metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    binding: &CredentialBinding,
    metadata: &MetadataChange,
    request: &Value,
) -> Result<CredentialBinding> {
    may.covers(&binding.space_guid)?;
    if binding.is_being_deleted() {
        return Err(Error::unprocessable("The service binding is being deleted"));
    }
    let guid = binding.guid.as_str();
    metadata.store(tx, ResourceType::ServiceCredentialBinding, guid)?;
    model::service_credential_bindings::touch(tx, &binding.guid, may.now)?;
    let data = json!({ "request": request });
    actions::service_events::of_binding(tx, may, "update", binding, &data)?;
    let found = model::service_credential_bindings::find(tx, &binding.guid)?;
    found.ok_or_else(|| Error::internal("a binding that was just there"))
}
