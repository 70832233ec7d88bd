//! What all operations share: how one goes on, is polled, and ends.

use std::time::Duration;

use super::StandIns;
use crate::base::Timestamp;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::jobs::JobState;
use crate::cloud_controller::model::service_operations::{Operation, Progress};
use crate::cloud_controller::v3;
use crate::db::{Vault, WriteTx};
use crate::marketplace::{Answer, Fault, FaultKind, schedule};

/// Longest name of an operation that is kept.
const LONGEST_OPERATION: usize = 10_000;
/// Before it is looked again whether other operations are over.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// One transaction of an operation, in the name of who asked for it.
pub(super) struct Turn<'a> {
    pub tx: &'a WriteTx<'a>,
    pub vault: &'a Vault,
    pub stand_ins: &'a StandIns,
    pub by: Recorder,
}

impl Turn<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.by.now
    }

    /// Writes down that a request is about to be sent.
    pub(super) fn send(&self, operation: &mut Operation, longest: Duration) -> Result<()> {
        if matches!(operation.progress, Progress::Due | Progress::Sent) {
            operation.progress = Progress::Sent;
            operation.attempts += 1;
            let deadline = self.now().plus(longest);
            operation.deadline.get_or_insert(deadline);
            return model::service_operations::update(self.tx, operation);
        }
        Ok(())
    }

    /// The broker works: clients see that, and it is asked how far it is at once.
    pub(super) fn accepted(&self, operation: &mut Operation, answer: &Answer) -> Result<()> {
        let name = answer.text("operation");
        let name = name.filter(|name| name.chars().count() <= LONGEST_OPERATION);
        operation.handle = name.map(str::to_owned);
        operation.progress = Progress::Polling;
        operation.attempts = 0;
        operation.next_at = self.now();
        if let Some(job) = &operation.job {
            model::jobs::finish(self.tx, job, &JobState::Polling, self.now())?;
        }
        model::service_operations::update(self.tx, operation)
    }

    /// It is asked again later, at the latest when its time is up.
    pub(super) fn poll_again(
        &self,
        operation: &mut Operation,
        retry_after: Option<Duration>,
    ) -> Result<()> {
        let pause = schedule::next_poll(operation.attempts, retry_after);
        operation.attempts = operation.attempts.saturating_add(1);
        operation.next_at = self.now().plus(pause);
        if let Some(deadline) = operation.deadline {
            operation.next_at = operation.next_at.min(deadline);
        }
        model::service_operations::update(self.tx, operation)
    }

    /// What the broker made is asked for.
    pub(super) fn fetch(&self, operation: &mut Operation) -> Result<()> {
        operation.progress = Progress::Fetching;
        operation.next_at = self.now();
        model::service_operations::update(self.tx, operation)
    }

    /// Whether the time for polling is up.
    pub(super) fn is_late(&self, operation: &Operation) -> bool {
        operation.progress == Progress::Polling
            && operation
                .deadline
                .is_some_and(|deadline| self.now() >= deadline)
    }

    /// Whether a request that was sent before, as before a restart, is what the broker is busy with:
    /// then it is sent again later.
    pub(super) fn is_busy_with(&self, operation: &Operation, fault: &Fault) -> bool {
        let in_time = operation.deadline.is_none_or(|end| self.now() < end);
        fault.kind == FaultKind::Concurrency && operation.attempts > 1 && in_time
    }

    /// It waits for the operations that belong to it; for those that belong to others it looks again.
    pub(super) fn wait(&self, mut operation: Operation) -> Result<()> {
        if !model::service_operations::has_children(self.tx, operation.id)? {
            return self.later(operation, LOOK_AGAIN);
        }
        operation.progress = Progress::Waiting;
        model::service_operations::update(self.tx, &operation)
    }

    /// It is tried again after this time.
    pub(super) fn later(&self, mut operation: Operation, pause: Duration) -> Result<()> {
        operation.next_at = self.now().plus(pause);
        model::service_operations::update(self.tx, &operation)
    }

    /// Whether a broker is being asked to make or change something: it might do that after a deletion.
    pub(super) fn is_being_made(&self, resource: &str) -> Result<bool> {
        let all = model::service_operations::of_resource(self.tx, resource)?;
        Ok(all.iter().any(|other| {
            matches!(other.progress, Progress::Due | Progress::Sent) && other.work.makes()
        }))
    }

    /// It is over: its job has a result, and the work that waited for it goes on.
    pub(super) fn end(&self, operation: &Operation, result: Result<()>) -> Result<()> {
        let faults: Vec<String> = match &result {
            Ok(()) => Vec::new(),
            Err(error) => {
                let told = error.details().iter();
                told.map(|text| format!("{}{text}", operation.input.label))
                    .collect()
            }
        };
        if let Some(job) = &operation.job {
            v3::jobs::finish(self.tx, job, result, self.now())?;
        }
        self.close(operation, faults)
    }

    /// The same with errors that are none of Cloud Controller's own.
    pub(super) fn end_with(&self, operation: &Operation, errors: serde_json::Value) -> Result<()> {
        if let Some(job) = &operation.job {
            let state = JobState::Failed(errors);
            model::jobs::finish(self.tx, job, &state, self.now())?;
        }
        self.close(operation, Vec::new())
    }

    fn close(&self, operation: &Operation, faults: Vec<String>) -> Result<()> {
        model::service_operations::delete(self.tx, operation.id)?;
        let orphan = operation.input.orphan.as_ref();
        let instance = orphan.map_or(&operation.resource, |orphan| &orphan.instance);
        model::service_stand_ins::sweep(self.tx, instance)?;
        let Some(parent) = operation.parent else {
            return Ok(());
        };
        let Some(mut parent) = model::service_operations::find(self.tx, parent)? else {
            return Ok(());
        };
        parent.faults.extend(faults);
        if !model::service_operations::has_children(self.tx, parent.id)? {
            parent.progress = Progress::Due;
            parent.next_at = self.now();
        }
        model::service_operations::update(self.tx, &parent)
    }
}

/// `provision could not be completed: …`.
pub(super) fn unable(what: &str, text: &str) -> Error {
    Error::new(
        Kind::UnableToPerform,
        format!("{what} could not be completed: {text}"),
    )
}

/// The broker did not end its work in time.
pub(super) fn timed_out() -> Error {
    Error::new(Kind::JobTimeout, "The job execution has timed out.")
}

/// What is said of an operation whose time is up.
pub(super) fn too_late(what: &str) -> String {
    format!("Service Broker failed to {what} within the required time.")
}
