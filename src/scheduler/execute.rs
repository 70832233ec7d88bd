//! The effects: create and start, or stop and remove, one instance's container.
//!
//! The process may die after any step: the next pass finds the container by its labels and
//! continues.

use std::time::Duration;

use super::containers::{Told, ignore_not_found, unwritable};
use super::desired::DesiredProcess;
use super::environment::container_spec;
use super::inner::Inner;
use super::instance::Record;
use super::{labels, log_sink};
use crate::base::guid::InstanceGuid;
use crate::db::DbError;
use crate::docker::{Container, ContainerState, DockerError, LogStream, bound_files};

const LOG_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const SIGKILL_EXIT_CODE: i64 = 137;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Docker(#[from] DockerError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Inner {
    /// Creates and starts an instance's container. If the daemon refuses, the instance crashes; if
    /// the daemon is unreachable, the instance waits.
    pub(super) async fn launch(
        &self,
        record: &Record,
        process: &DesiredProcess,
        created: Option<String>,
    ) {
        let Ok(_permit) = self.launches.acquire().await else {
            return;
        };
        let guid = &record.guid;
        let recorded = match self.create_and_start(record, process, created).await {
            Ok(()) => {
                self.attempts.succeeded(guid);
                return;
            }
            Err(Failure::Db(error)) => Err(error),
            Err(Failure::Docker(error @ DockerError::Unreachable(_))) => {
                self.attempts.failed(guid, self.clock.now());
                self.record_placement_problem(guid, error.to_string()).await
            }
            Err(Failure::Docker(error)) => {
                let cell = &self.settings.cell_id;
                let text =
                    format!("Cell {cell} failed to create container for instance {guid}: {error}");
                self.log(record, "CELL", LogStream::Err, text);
                let description = format!("failed to create container: {error}");
                self.record_creation_failure(guid, description).await
            }
        };
        // A container that was created shows up in the next listing.
        self.view.invalidate();
        if let Err(error) = recorded {
            self.attempts.failed(guid, self.clock.now());
            tracing::error!(instance.guid = %guid, %error, "starting instance failed; retrying");
        }
    }

    /// Stops and removes the container of `record`, then deletes the record.
    pub(super) async fn stop(&self, record: &Record, container_id: &str) {
        let Ok(_permit) = self.stops.acquire().await else {
            return;
        };
        let guid = record.guid.clone();
        match self.stop_and_remove(record, container_id).await {
            Ok(()) => {
                self.attempts.succeeded(&guid);
                self.usage.forget(&guid);
            }
            Err(error) => self.stop_failed(&guid, &error),
        }
    }

    /// Stops and removes a container that belongs to no instance.
    pub(super) async fn discard(&self, guid: &InstanceGuid, container_id: &str) {
        let Ok(_permit) = self.stops.acquire().await else {
            return;
        };
        let removed = async {
            let grace = self.settings.stop_grace;
            ignore_not_found(self.engine.stop(container_id, grace).await)?;
            self.logs.drained(container_id, LOG_DRAIN_TIMEOUT).await;
            ignore_not_found(self.engine.remove(container_id).await)?;
            self.view.patch(container_id, None);
            Ok::<(), DockerError>(())
        };
        match removed.await {
            Ok(()) => self.attempts.succeeded(guid),
            Err(error) => self.stop_failed(guid, &error.into()),
        }
    }

    async fn create_and_start(
        &self,
        record: &Record,
        process: &DesiredProcess,
        created: Option<String>,
    ) -> Result<(), Failure> {
        let (cell, guid) = (&self.settings.cell_id, record.guid.clone());
        if created.is_none() {
            let text = format!("Cell {cell} creating container for instance {guid}");
            self.log(record, "CELL", LogStream::Out, text);
        }
        let mut spec = container_spec(&self.settings, process, record, self.settings.stop_grace);
        let files = bound_files::take(&mut spec.environment).map_err(unwritable)?;
        let line = |text: &str| self.log(record, "CELL", LogStream::Out, text.to_owned());
        let told = Told {
            line: &line,
            droplet: process.droplet_size,
        };
        let id = self
            .containers
            .create(spec, created.as_deref(), told)
            .await?;
        if let Some(files) = files {
            self.engine.upload(&id, files).await?;
        }
        if let Some(replaced) = created.filter(|created| *created != id) {
            self.view.patch(&replaced, None);
        }
        self.engine.start(&id).await?;
        self.view.patch(&id, self.engine.inspect(&id).await?);
        self.view.started(&id);
        // Logged before it is recorded: the health check that follows logs, too.
        let text = format!("Cell {cell} successfully created container for instance {guid}");
        self.log(record, "CELL", LogStream::Out, text);
        self.db
            .write(move |tx| super::store::set_container(tx, &guid, &id))
            .await?;
        Ok(())
    }

    async fn record_placement_problem(
        &self,
        guid: &InstanceGuid,
        problem: String,
    ) -> Result<(), DbError> {
        let guid = guid.clone();
        self.db
            .write(move |tx| super::store::set_problem(tx, &guid, &problem).map(drop))
            .await
    }

    async fn record_creation_failure(
        &self,
        guid: &InstanceGuid,
        description: String,
    ) -> Result<(), DbError> {
        let (facts, guid, now) = (self.facts.clone(), guid.clone(), self.clock.now());
        self.db
            .write(move |tx| facts.crashed(tx, &guid, &description, now).map(drop))
            .await
    }

    async fn stop_and_remove(&self, record: &Record, container_id: &str) -> Result<(), Failure> {
        let (cell, guid) = (&self.settings.cell_id, &record.guid);
        let before = self.engine.inspect(container_id).await?;
        let stops = before.as_ref().is_some_and(is_running);
        if stops {
            let text = format!("Cell {cell} stopping instance {guid}");
            self.log(record, "CELL", LogStream::Out, text);
            let grace = self.settings.stop_grace;
            ignore_not_found(self.engine.stop(container_id, grace).await)?;
        }
        self.logs.drained(container_id, LOG_DRAIN_TIMEOUT).await;
        if let Some(container) = self.engine.inspect(container_id).await? {
            let ended = if stops { Ended::Stopped } else { Ended::Before };
            self.log_exit(record, &container, ended);
        }
        let text = format!("Cell {cell} destroying container for instance {guid}");
        self.log(record, "CELL", LogStream::Out, text);
        ignore_not_found(self.engine.remove(container_id).await)?;
        self.view.patch(container_id, None);
        self.db
            .write({
                let guid = guid.clone();
                move |tx| super::store::forget(tx, &guid)
            })
            .await?;
        let text = format!("Cell {cell} successfully destroyed container for instance {guid}");
        self.log(record, "CELL", LogStream::Out, text);
        Ok(())
    }

    fn log_exit(&self, record: &Record, container: &Container, ended: Ended) {
        let ContainerState::Exited {
            code,
            out_of_memory,
            ..
        } = container.state
        else {
            return;
        };
        let cause = if out_of_memory {
            " (out of memory)".to_owned()
        } else if ended == Ended::Stopped && code == SIGKILL_EXIT_CODE {
            let grace = super::health_check::duration_text(self.settings.stop_grace);
            format!(" (exceeded {grace} graceful shutdown interval)")
        } else {
            String::new()
        };
        let source_type = labels::log_source_type(container);
        let text = format!("Exit status {code}{cause}");
        self.log(record, &source_type, LogStream::Out, text);
    }

    fn stop_failed(&self, guid: &InstanceGuid, error: &Failure) {
        self.attempts.failed(guid, self.clock.now());
        self.view.invalidate();
        tracing::warn!(instance.guid = %guid, %error, "removing container failed; retrying");
    }

    fn log(&self, record: &Record, source_type: &str, stream: LogStream, text: String) {
        self.logs
            .line(log_sink::line(record, source_type, stream, text));
    }
}

/// Why a container does not run any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was just stopped.
    Stopped,
    /// It had ended on its own.
    Before,
}

fn is_running(container: &Container) -> bool {
    matches!(container.state, ContainerState::Running { .. })
}
