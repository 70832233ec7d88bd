//! Deleting what may be left behind at a broker: until it says that it is gone, or eleven times.

use std::time::Duration;

use super::turn::{LOOK_AGAIN, Turn};
use super::{brokers, stand_ins};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::service_operations::{Operation, Orphan, Progress};
use crate::marketplace::request::{Aim, PlanIds};
use crate::marketplace::{Outcome, Request, Step, schedule};

/// Between two polls of such a deletion: nobody waits for it.
const POLL: Duration = Duration::from_secs(5);

pub(super) fn begin(turn: &Turn<'_>, mut operation: Operation) -> Result<Option<Step>> {
    let Some(orphan) = operation.input.orphan.clone() else {
        return turn.end(&operation, Ok(())).map(|()| None);
    };
    if turn.is_being_made(&operation.resource)? {
        return turn.later(operation, LOOK_AGAIN).map(|()| None);
    }
    if turn.is_late(&operation) {
        return again(turn, operation).map(|()| None);
    }
    let Orphan {
        instance,
        binding,
        service_id,
        plan_id,
    } = orphan;
    let ids = PlanIds {
        service_id,
        plan_id,
    };
    let request = match (operation.progress, binding) {
        (Progress::Polling | Progress::Fetching, binding) => Request::LastOperation {
            instance,
            binding,
            ids,
            operation: operation.handle.clone(),
            aim: Aim::Delete,
        },
        (_, None) => Request::Deprovision { instance, ids },
        (_, Some(binding)) => Request::Unbind {
            instance,
            binding,
            ids,
        },
    };
    let broker = brokers::find(turn.tx, turn.vault, &operation.broker)?;
    let redirected = stand_ins::redirected(turn.tx, turn.vault, broker, request)?;
    let Some((broker, request)) = redirected else {
        return turn.end(&operation, Ok(())).map(|()| None);
    };
    turn.send(&mut operation, schedule::longest(None))?;
    // Nobody asked for it: it is in nobody's name.
    Ok(Some(Step {
        broker,
        request,
        user: None,
    }))
}

pub(super) fn done(turn: &Turn<'_>, mut operation: Operation, outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Done(_) => turn.end(&operation, Ok(())),
        Outcome::Accepted(answer) => {
            let attempts = operation.attempts;
            turn.accepted(&mut operation, &answer)?;
            operation.attempts = attempts;
            model::service_operations::update(turn.tx, &operation)
        }
        Outcome::InProgress { retry_after, .. } => {
            let pause = retry_after
                .unwrap_or(POLL)
                .clamp(POLL, Duration::from_secs(3600));
            turn.later(operation, pause)
        }
        Outcome::OperationFailed { .. } | Outcome::Failed(_) => again(turn, operation),
    }
}

fn again(turn: &Turn<'_>, mut operation: Operation) -> Result<()> {
    let Some(pause) = schedule::next_mitigation(operation.attempts) else {
        tracing::warn!(
            broker.guid = %operation.broker, resource.guid = %operation.resource,
            "a service broker did not delete what may be left behind there; it is not asked again"
        );
        return turn.end(&operation, Ok(()));
    };
    operation.progress = Progress::Due;
    operation.deadline = None;
    turn.later(operation, pause)
}
