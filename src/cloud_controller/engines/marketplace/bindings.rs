//! Making and deleting bindings at their brokers.

use super::bound::Bound;
use super::requests;
use super::turn::{LOOK_AGAIN, Turn, timed_out, too_late, unable};
use crate::cloud_controller::actions;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::last_operations::{
    LastOperation, OperationState, OperationType,
};
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::service_operations::{Operation, Progress, Work};
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::marketplace::request::{Aim, Bind};
use crate::marketplace::{Answer, Fault, FaultKind, Outcome, Request, Step, schedule};

fn is_creation(operation: &Operation) -> bool {
    matches!(operation.work, Work::Bind | Work::BindRoute)
}

fn kind(operation: &Operation) -> OperationType {
    if is_creation(operation) {
        OperationType::Create
    } else {
        OperationType::Delete
    }
}

/// The instance of a binding, and its plan.
fn instance_of(turn: &Turn<'_>, bound: &Bound) -> Result<(ServiceInstance, ServicePlan)> {
    let instance = model::service_instances::find(turn.tx, bound.instance())?;
    let instance = instance.ok_or_else(|| Error::internal("a binding without its instance"))?;
    let plan = actions::service_operations::plan_of(turn.tx, &instance)?;
    let plan = plan.ok_or_else(|| Error::internal("a managed instance without a plan"))?;
    Ok((instance, plan))
}

fn gone(turn: &Turn<'_>, operation: &Operation) -> Result<()> {
    let result = if is_creation(operation) {
        Err(Error::resource_not_found(format!(
            "The binding could not be found: {}",
            operation.resource
        )))
    } else {
        Ok(())
    };
    turn.end(operation, result)
}

pub(super) fn begin(turn: &Turn<'_>, mut operation: Operation) -> Result<Option<Step>> {
    let Some(bound) = Bound::find(turn, &operation)? else {
        return gone(turn, &operation).map(|()| None);
    };
    let (instance, plan) = instance_of(turn, &bound)?;
    if turn.is_late(&operation) {
        return late(turn, &operation, &bound).map(|()| None);
    }
    let creates = is_creation(&operation);
    let request = match operation.progress {
        Progress::Polling => {
            let aim = if creates { Aim::Keep } else { Aim::Delete };
            requests::last_operation(&operation, &instance, Some(bound.guid()), &plan, aim)
        }
        Progress::Fetching => Request::FetchBinding {
            instance: instance.guid.to_string(),
            binding: bound.guid().to_owned(),
            declared: requests::declared(&plan),
        },
        Progress::Due | Progress::Sent | Progress::Waiting if creates => {
            bind(turn, &operation, &bound, (&instance, &plan))?
        }
        Progress::Due | Progress::Sent | Progress::Waiting => {
            if !overtakes(turn, &bound)? {
                return turn.later(operation, LOOK_AGAIN).map(|()| None);
            }
            Request::Unbind {
                instance: instance.guid.to_string(),
                binding: bound.guid().to_owned(),
                ids: requests::ids(&plan),
            }
        }
    };
    turn.send(
        &mut operation,
        schedule::longest(plan.maximum_polling_duration),
    )?;
    requests::step(turn.tx, turn.vault, &operation, request).map(Some)
}

fn bind(
    turn: &Turn<'_>,
    operation: &Operation,
    bound: &Bound,
    (instance, plan): (&ServiceInstance, &ServicePlan),
) -> Result<Request> {
    let secret = model::service_operations::secret(turn.tx, turn.vault, operation.id)?;
    Ok(Request::Bind {
        instance: instance.guid.to_string(),
        binding: bound.guid().to_owned(),
        body: Box::new(Bind {
            ids: requests::ids(plan),
            app_guid: bound.app().map(ToString::to_string),
            bind_resource: bound.resource(turn)?,
            context: requests::context(turn.tx, instance)?,
            parameters: secret.parameters.filter(|map| !map.is_empty()),
        }),
        declared: requests::declared(plan),
    })
}

/// A deletion ends the polling of a creation, but waits while the broker is being asked for it.
fn overtakes(turn: &Turn<'_>, bound: &Bound) -> Result<bool> {
    for other in model::service_operations::of_resource(turn.tx, bound.guid())? {
        if !is_creation(&other) {
            continue;
        }
        if !matches!(other.progress, Progress::Polling) {
            return Ok(false);
        }
        turn.end(&other, Err(unable("create", "delete in progress")))?;
    }
    Ok(true)
}

/// The time for polling is up; what may come of a creation is not wanted any more.
fn late(turn: &Turn<'_>, operation: &Operation, bound: &Bound) -> Result<()> {
    let (kind, what) = if is_creation(operation) {
        (OperationType::Create, "bind")
    } else {
        (OperationType::Delete, "unbind")
    };
    fail(turn, bound, kind, &too_late(what))?;
    if is_creation(operation) {
        bound.mitigate(turn)?;
    }
    turn.end(operation, Err(timed_out()))
}

fn fail(turn: &Turn<'_>, bound: &Bound, kind: OperationType, text: &str) -> Result<()> {
    let failed = LastOperation::new(kind, OperationState::Failed, turn.now()).told(text);
    bound.set_operation(turn, failed)
}

pub(super) fn done(turn: &Turn<'_>, mut operation: Operation, outcome: Outcome) -> Result<()> {
    let Some(bound) = Bound::find(turn, &operation)? else {
        return gone(turn, &operation);
    };
    let kind = kind(&operation);
    match (operation.progress, outcome) {
        (Progress::Fetching, Outcome::Done(answer)) => {
            let last = bound.last_operation();
            let description = last.and_then(|last| last.description.clone());
            complete(turn, &operation, &bound, &answer, description.as_deref())
        }
        (Progress::Fetching, other) => {
            let text = match other {
                Outcome::Failed(fault) => fault.text,
                _ => "The service broker did not return the binding".to_owned(),
            };
            fail(turn, &bound, kind, &text)?;
            turn.end(&operation, Err(unable("bind", &text)))
        }
        (Progress::Polling, Outcome::Done(answer)) => {
            let description = answer.text("description");
            if kind == OperationType::Delete {
                return complete(turn, &operation, &bound, &answer, description);
            }
            let going = LastOperation {
                description: description.map(str::to_owned),
                ..LastOperation::new(kind, OperationState::InProgress, turn.now())
            };
            bound.set_operation(turn, going)?;
            turn.fetch(&mut operation)
        }
        (
            Progress::Polling,
            Outcome::InProgress {
                description,
                retry_after,
            },
        ) => {
            let before = bound.last_operation();
            let before = before.and_then(|last| last.description.clone());
            let going = LastOperation {
                description: description.or(before),
                ..LastOperation::new(kind, OperationState::InProgress, turn.now())
            };
            bound.set_operation(turn, going)?;
            turn.poll_again(&mut operation, retry_after)
        }
        (Progress::Polling, Outcome::OperationFailed { description }) => {
            let text = description.unwrap_or_default();
            fail(turn, &bound, kind, &text)?;
            turn.end(&operation, Err(unable(kind.as_str(), &text)))
        }
        (Progress::Polling, _) => turn.poll_again(&mut operation, None),
        (_, Outcome::Done(answer)) => complete(turn, &operation, &bound, &answer, None),
        (_, Outcome::Accepted(answer)) => begun(turn, operation, &bound, &answer),
        (_, Outcome::Failed(fault)) => failed(turn, &operation, &bound, &fault),
        (_, Outcome::InProgress { .. } | Outcome::OperationFailed { .. }) => {
            Err(Error::internal("a request was answered as a poll"))
        }
    }
}

/// The broker began its work.
fn begun(turn: &Turn<'_>, mut operation: Operation, bound: &Bound, answer: &Answer) -> Result<()> {
    let kind = kind(&operation);
    let going = LastOperation::new(kind, OperationState::InProgress, turn.now());
    bound.set_operation(turn, going)?;
    if kind == OperationType::Create {
        bound.record_created(turn, "start_create", &operation)?;
    } else {
        bound.record_deletion(turn)?;
    }
    turn.accepted(&mut operation, answer)
}

/// It is done.
fn complete(
    turn: &Turn<'_>,
    operation: &Operation,
    bound: &Bound,
    answer: &Answer,
    description: Option<&str>,
) -> Result<()> {
    if is_creation(operation) {
        bound.complete(turn, answer, description)?;
        bound.record_created(turn, "create", operation)?;
    } else {
        bound.delete(turn)?;
    }
    turn.end(operation, Ok(()))
}

/// The broker did not do it.
fn failed(turn: &Turn<'_>, operation: &Operation, bound: &Bound, fault: &Fault) -> Result<()> {
    if turn.is_busy_with(operation, fault) {
        return turn.poll_again(&mut operation.clone(), None);
    }
    if is_creation(operation) {
        // The first of two requests may have been done, whatever is said of the second.
        let unsure = operation.attempts > 1 && fault.kind != FaultKind::Concurrency;
        if fault.mitigate || unsure {
            bound.mitigate(turn)?;
        }
        fail(turn, bound, OperationType::Create, &fault.text)?;
        let error = if fault.kind == FaultKind::NotRetrievable {
            Error::new(
                Kind::ServiceBindingInvalid,
                format!("The service binding is invalid: {}", fault.text),
            )
        } else {
            unable("bind", &fault.text)
        };
        return turn.end(operation, Err(error));
    }
    if fault.kind == FaultKind::Concurrency {
        // Its last operation is none of this request's business.
        let text = "The service broker rejected the request due to an operation being in progress for the service \
                    binding.";
        return turn.end(operation, Err(unable("unbind", text)));
    }
    let text = format!(
        "Service broker failed to delete service binding for instance {}: {}",
        bound.instance_name(),
        fault.text
    );
    fail(turn, bound, OperationType::Delete, &text)?;
    turn.end(operation, Err(unable("unbind", &text)))
}
