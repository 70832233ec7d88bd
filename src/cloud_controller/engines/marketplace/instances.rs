//! Making, changing and deleting service instances at their brokers.

use serde_json::Value;

use super::requests;
use super::stand_ins::{self, Choice};
use super::turn::{LOOK_AGAIN, Turn, timed_out, too_late, unable};
use crate::base::guid::ServiceInstanceGuid;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::last_operations::{
    LastOperation, OperationState, OperationType,
};
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{Operation, Progress, Work};
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::{actions, model};
use crate::marketplace::request::Aim;
use crate::marketplace::{Answer, Fault, FaultKind, Outcome, Request, Step, schedule};

/// What the descriptions of stand-ins begin with.
const STAND_IN: &str = "offline stand-in";

/// What an operation of this work is called.
fn kind(operation: &Operation) -> OperationType {
    match operation.work {
        Work::CreateInstance => OperationType::Create,
        Work::UpdateInstance => OperationType::Update,
        _ => OperationType::Delete,
    }
}

/// What the broker did not do, in errors; `polled` = it had begun to.
fn verb(kind: OperationType, polled: bool) -> &'static str {
    match (kind, polled) {
        (OperationType::Create, false) => "provision",
        (OperationType::Create, true) => "create managed",
        (OperationType::Update, _) => "update",
        (OperationType::Delete, _) => "delete",
    }
}

pub(super) fn begin(turn: &Turn<'_>, mut operation: Operation) -> Result<Option<Step>> {
    let kind = kind(&operation);
    let guid = ServiceInstanceGuid::from(operation.resource.as_str());
    let Some(instance) = model::service_instances::find(turn.tx, &guid)? else {
        return gone(turn, &operation, kind).map(|()| None);
    };
    let last = instance.last_operation.as_ref();
    if let Some(other) = last.filter(|last| last.is_open() && last.kind != kind) {
        let text = format!("{} in progress", other.kind.as_str());
        return turn
            .end(&operation, Err(unable(kind.as_str(), &text)))
            .map(|()| None);
    }
    let plan = plan(turn, &instance)?;
    if turn.is_late(&operation) {
        return late(turn, &operation, &instance).map(|()| None);
    }
    let request = match operation.progress {
        Progress::Polling => {
            let aim = match kind {
                OperationType::Delete => Aim::Delete,
                OperationType::Create | OperationType::Update => Aim::Keep,
            };
            requests::last_operation(&operation, &instance, None, &plan, aim)
        }
        Progress::Fetching => Request::FetchInstance {
            instance: guid.to_string(),
        },
        Progress::Due | Progress::Sent | Progress::Waiting => match kind {
            OperationType::Create | OperationType::Update => {
                let request = match kind {
                    OperationType::Create => create_request(turn, &operation, &instance, &plan),
                    _ => update_request(turn, &operation, &instance, &plan),
                };
                match request {
                    Err(error) if error.kind() == Kind::UnprocessableEntity => {
                        fail(turn, &instance, kind, error.detail())?;
                        return turn.end(&operation, Err(error)).map(|()| None);
                    }
                    request => request?,
                }
            }
            OperationType::Delete => {
                if turn.is_being_made(guid.as_str())? {
                    return turn.later(operation, LOOK_AGAIN).map(|()| None);
                }
                if !super::cascades::unbind_instance(turn, &operation, &instance)? {
                    return Ok(None);
                }
                Request::Deprovision {
                    instance: guid.to_string(),
                    ids: requests::ids(&plan),
                }
            }
        },
    };
    turn.send(
        &mut operation,
        schedule::longest(plan.maximum_polling_duration),
    )?;
    requests::step(turn.tx, turn.vault, &operation, request).map(Some)
}

fn gone(turn: &Turn<'_>, operation: &Operation, kind: OperationType) -> Result<()> {
    let result = match kind {
        OperationType::Delete => Ok(()),
        OperationType::Create | OperationType::Update => Err(Error::resource_not_found(format!(
            "The service instance could not be found: {}.",
            operation.resource
        ))),
    };
    turn.end(operation, result)
}

fn plan(turn: &Turn<'_>, instance: &ServiceInstance) -> Result<ServicePlan> {
    let plan = actions::service_operations::plan_of(turn.tx, instance)?;
    plan.ok_or_else(|| Error::internal("a managed instance without a plan"))
}

/// The stand-in is on record before anything is asked for it.
fn create_request(
    turn: &Turn<'_>,
    operation: &Operation,
    instance: &ServiceInstance,
    plan: &ServicePlan,
) -> Result<Request> {
    let secret = model::service_operations::secret(turn.tx, turn.vault, operation.id)?;
    let mut parameters = secret.parameters;
    let choice = stand_ins::choice(&mut parameters)?;
    let is_new = operation.attempts == 0
        && model::service_stand_ins::find(turn.tx, instance.guid.as_str())?.is_none();
    if is_new && turn.stand_ins.comes_first(choice) {
        match turn.stand_ins.of(turn, plan, &instance.space_guid)? {
            Some(stand_in) => {
                model::service_stand_ins::insert(turn.tx, instance.guid.as_str(), &stand_in)?;
            }
            None if choice == Choice::Offline => {
                return Err(Error::unprocessable(format!(
                    "The plan {} of {} names no offline stand-in; name one with the option --stand-in of cflite up.",
                    plan.name, plan.offering.name
                )));
            }
            None => {}
        }
    }
    requests::provision(turn.tx, instance, plan, parameters)
}

/// Whether a new instance whose broker cannot be reached is made on this machine instead.
fn is_made_here(
    turn: &Turn<'_>,
    operation: &Operation,
    instance: &ServiceInstance,
) -> Result<bool> {
    let secret = model::service_operations::secret(turn.tx, turn.vault, operation.id)?;
    let choice = stand_ins::choice(&mut secret.parameters.clone())?;
    // A first request whose answer was lost may have reached the broker.
    if operation.attempts > 1 || !turn.stand_ins.comes_after(choice) {
        return Ok(false);
    }
    if model::service_stand_ins::find(turn.tx, instance.guid.as_str())?.is_some() {
        return Ok(false);
    }
    let stand_in = match turn
        .stand_ins
        .of(turn, &plan(turn, instance)?, &instance.space_guid)
    {
        Err(error) if error.kind() == Kind::UnprocessableEntity => {
            tracing::warn!(service_instance.guid = %instance.guid, "{}", error.detail());
            None
        }
        stand_in => stand_in?,
    };
    let Some(stand_in) = stand_in else {
        return Ok(false);
    };
    model::service_stand_ins::insert(turn.tx, instance.guid.as_str(), &stand_in)?;
    let mut operation = operation.clone();
    operation.progress = Progress::Due;
    operation.attempts = 0;
    operation.deadline = None;
    operation.next_at = turn.now();
    model::service_operations::update(turn.tx, &operation)?;
    Ok(true)
}

/// What is told of an instance: that it is a stand-in, too.
fn with_stand_in(turn: &Turn<'_>, instance: &ServiceInstance, text: String) -> Result<String> {
    let stand_in = model::service_stand_ins::find(turn.tx, instance.guid.as_str())?;
    let Some(stand_in) = stand_in.filter(|_| !text.starts_with(STAND_IN)) else {
        return Ok(text);
    };
    let name = format!("{STAND_IN} ({})", stand_in.what);
    Ok(if text.is_empty() {
        name
    } else {
        format!("{name}: {text}")
    })
}

fn update_request(
    turn: &Turn<'_>,
    operation: &Operation,
    instance: &ServiceInstance,
    plan: &ServicePlan,
) -> Result<Request> {
    let secret = model::service_operations::secret(turn.tx, turn.vault, operation.id)?;
    let mut parameters = secret.parameters;
    if stand_ins::choice(&mut parameters)? != Choice::None {
        return Err(Error::unprocessable(
            "Whether a service is an offline stand-in is decided when it is made. Delete it and create it again; \
             a backup of it stays.",
        ));
    }
    let change = operation.input.instance.clone().unwrap_or_default();
    let new = match &change.plan {
        None => None,
        Some(guid) => model::service_plans::find(turn.tx, guid)?,
    };
    let new = new.as_ref().unwrap_or(plan);
    requests::update(turn.tx, instance, (plan, new), &change, parameters)
}

/// The time for polling is up; what may come of a creation is not wanted any more.
fn late(turn: &Turn<'_>, operation: &Operation, instance: &ServiceInstance) -> Result<()> {
    let kind = kind(operation);
    let what = match kind {
        OperationType::Create => "provision",
        OperationType::Update => "update",
        OperationType::Delete => "deprovision",
    };
    fail(turn, instance, kind, &too_late(what))?;
    if kind == OperationType::Create {
        actions::service_operations::mitigate_instance(turn.tx, &turn.by, instance)?;
    }
    turn.end(operation, Err(timed_out()))
}

fn fail(
    turn: &Turn<'_>,
    instance: &ServiceInstance,
    kind: OperationType,
    text: &str,
) -> Result<()> {
    let failed = LastOperation::new(kind, OperationState::Failed, turn.now()).told(text);
    actions::service_instances::set_operation(turn.tx, instance, failed)
}

pub(super) fn done(turn: &Turn<'_>, mut operation: Operation, outcome: Outcome) -> Result<()> {
    let kind = kind(&operation);
    let guid = ServiceInstanceGuid::from(operation.resource.as_str());
    let Some(instance) = model::service_instances::find(turn.tx, &guid)? else {
        return gone(turn, &operation, kind);
    };
    let last = instance.last_operation.as_ref();
    if last.is_some_and(|last| last.is_open() && last.kind != kind) {
        // It was overtaken: the next look ends it.
        operation.next_at = turn.now();
        return model::service_operations::update(turn.tx, &operation);
    }
    match (operation.progress, outcome) {
        (Progress::Fetching, Outcome::Done(answer)) => {
            complete(turn, &operation, instance, &answer, None)
        }
        (Progress::Fetching, _) => complete(turn, &operation, instance, &Answer::default(), None),
        (Progress::Polling, Outcome::Done(answer)) => succeeded(turn, operation, instance, &answer),
        (
            Progress::Polling,
            Outcome::InProgress {
                description,
                retry_after,
            },
        ) => {
            let going = LastOperation::new(kind, OperationState::InProgress, turn.now());
            let before = last.and_then(|last| last.description.clone());
            let description = match description {
                Some(text) => Some(with_stand_in(turn, &instance, text)?),
                None => before,
            };
            let going = LastOperation {
                description,
                ..going
            };
            actions::service_instances::set_operation(turn.tx, &instance, going)?;
            turn.poll_again(&mut operation, retry_after)
        }
        (Progress::Polling, Outcome::OperationFailed { description }) => {
            let text = description.unwrap_or_default();
            fail(turn, &instance, kind, &text)?;
            turn.end(&operation, Err(unable(verb(kind, true), &text)))
        }
        (Progress::Polling, _) => turn.poll_again(&mut operation, None),
        (_, Outcome::Done(answer)) => complete(turn, &operation, instance, &answer, Some("")),
        (_, Outcome::Accepted(answer)) => begun(turn, operation, instance, &answer),
        (_, Outcome::Failed(fault)) => failed(turn, &operation, &instance, &fault),
        (_, Outcome::InProgress { .. } | Outcome::OperationFailed { .. }) => {
            Err(Error::internal("a request was answered as a poll"))
        }
    }
}

/// The broker began its work.
fn begun(
    turn: &Turn<'_>,
    mut operation: Operation,
    mut instance: ServiceInstance,
    answer: &Answer,
) -> Result<()> {
    let kind = kind(&operation);
    if kind != OperationType::Delete {
        told(&mut instance, answer);
        model::service_instances::update(turn.tx, &instance)?;
    }
    let going = LastOperation::new(kind, OperationState::InProgress, turn.now()).told("");
    actions::service_instances::set_operation(turn.tx, &instance, going)?;
    let (what, request) = match kind {
        OperationType::Create => ("start_create", &operation.input.request),
        OperationType::Update => ("start_update", &operation.input.request),
        OperationType::Delete => ("start_delete", &Value::Null),
    };
    actions::service_events::of_instance(turn.tx, &turn.by, what, &instance, request)?;
    turn.accepted(&mut operation, answer)
}

/// What a broker tells of an instance.
fn told(instance: &mut ServiceInstance, answer: &Answer) {
    if let Some(url) = answer.text("dashboard_url") {
        instance.dashboard_url = Some(url.to_owned());
    }
    if let Some(metadata) = answer.object("metadata").filter(|map| !map.is_empty()) {
        instance.broker_metadata = Some(metadata.clone());
    }
}

/// The broker ended its work; what it made may be asked for.
fn succeeded(
    turn: &Turn<'_>,
    mut operation: Operation,
    instance: ServiceInstance,
    answer: &Answer,
) -> Result<()> {
    let kind = kind(&operation);
    let description = answer.text("description").map(str::to_owned);
    let retrievable = plan(turn, &instance)?.offering.instances_retrievable;
    if kind != OperationType::Delete && retrievable {
        let going = LastOperation {
            description,
            ..LastOperation::new(kind, OperationState::InProgress, turn.now())
        };
        actions::service_instances::set_operation(turn.tx, &instance, going)?;
        return turn.fetch(&mut operation);
    }
    let nothing = Answer::default();
    complete(
        turn,
        &operation,
        instance,
        &nothing,
        Some(description.as_deref().unwrap_or("")),
    )
}

/// It is done. Without a description the one of the last poll stays.
fn complete(
    turn: &Turn<'_>,
    operation: &Operation,
    mut instance: ServiceInstance,
    answer: &Answer,
    description: Option<&str>,
) -> Result<()> {
    let (tx, by, kind) = (turn.tx, &turn.by, kind(operation));
    if kind == OperationType::Delete {
        actions::service_shares::unshare_all(tx, by, &instance)?;
        actions::service_events::of_instance(tx, by, "delete", &instance, &Value::Null)?;
        actions::service_instances::remove(tx, by, &instance)?;
        return turn.end(operation, Ok(()));
    }
    let before = instance.clone();
    told(&mut instance, answer);
    let last = instance.last_operation.clone();
    let description = match description {
        Some(text) => text.to_owned(),
        None => last.and_then(|last| last.description).unwrap_or_default(),
    };
    let description = with_stand_in(turn, &instance, description)?;
    if let Some(change) = &operation.input.instance {
        let changed = actions::service_instances::change_instance(tx, by, instance, change);
        instance = match changed {
            Ok(instance) => instance,
            Err(error) if error.kind() == Kind::UnprocessableEntity => {
                let text = error.detail().to_owned();
                fail(turn, &before, kind, &text)?;
                return turn.end(operation, Err(unable(kind.as_str(), &text)));
            }
            Err(error) => return Err(error),
        };
    } else {
        instance.updated_at = turn.now();
        model::service_instances::update(tx, &instance)?;
    }
    let done = LastOperation::new(kind, OperationState::Succeeded, turn.now()).told(description);
    actions::service_instances::set_operation(tx, &instance, done)?;
    let what = kind.as_str();
    actions::service_events::of_instance(tx, by, what, &before, &operation.input.request)?;
    turn.end(operation, Ok(()))
}

/// The broker did not do it.
fn failed(
    turn: &Turn<'_>,
    operation: &Operation,
    instance: &ServiceInstance,
    fault: &Fault,
) -> Result<()> {
    if turn.is_busy_with(operation, fault) {
        return turn.poll_again(&mut operation.clone(), None);
    }
    let kind = kind(operation);
    let is_refused = kind == OperationType::Create && fault.kind == FaultKind::Unreachable;
    if is_refused && is_made_here(turn, operation, instance)? {
        return Ok(());
    }
    let text = match kind {
        OperationType::Delete => format!("Service instance {}: {}", instance.name, fault.text),
        OperationType::Create | OperationType::Update => fault.text.clone(),
    };
    // The first of two requests may have been done, whatever is said of the second.
    let unsure = kind == OperationType::Create && operation.attempts > 1;
    if fault.mitigate || unsure && fault.kind != FaultKind::Concurrency {
        actions::service_operations::mitigate_instance(turn.tx, &turn.by, instance)?;
    }
    if kind == OperationType::Delete && fault.kind == FaultKind::Concurrency {
        let busy = actions::service_instances_checks::busy(instance);
        fail(turn, instance, kind, busy.detail())?;
        return turn.end(operation, Err(busy));
    }
    fail(turn, instance, kind, &text)?;
    turn.end(operation, Err(unable(verb(kind, false), &text)))
}
