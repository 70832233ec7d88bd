//! Commands in running containers, signals, limits and ends.

use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models;
use bollard::query_parameters as query;
use futures_util::StreamExt;

use super::attach::output;
use super::{BollardEngine, QUICK, SLOW, STREAMING, translate};
use crate::base::Megabytes;
use crate::docker::{Attached, ContainerState, DockerError, Engine, ExecSpec, Executing, Freeze};

impl BollardEngine {
    pub(super) async fn start_exec(
        &self,
        id: &str,
        spec: &ExecSpec,
    ) -> Result<Executing, DockerError> {
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(spec.command.clone()),
            user: spec.user.clone(),
            env: Some(
                spec.environment
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
            ),
            tty: Some(spec.terminal.is_some()),
            ..Default::default()
        };
        let created = self
            .call(SLOW, |docker| async move {
                docker.create_exec(id, options).await
            })
            .await?;
        if let Some(size) = spec.terminal {
            let streams = self.start_in_terminal(&created.id, size).await?;
            return Ok(Executing {
                id: created.id,
                streams,
            });
        }
        let name = created.id.clone();
        let started = self
            .call(SLOW, |docker| async move {
                docker.start_exec(&name, None).await
            })
            .await?;
        match started {
            StartExecResults::Attached {
                output: frames,
                input,
            } => Ok(Executing {
                id: created.id,
                streams: Attached {
                    input,
                    output: Box::pin(frames.map(output)),
                },
            }),
            StartExecResults::Detached => Err(DockerError::Failed(
                "a command started without its streams".into(),
            )),
        }
    }

    pub(super) async fn status_of_exec(&self, exec: &str) -> Result<i64, DockerError> {
        let found = self
            .call(
                QUICK,
                |docker| async move { docker.inspect_exec(exec).await },
            )
            .await?;
        found
            .exit_code
            .ok_or_else(|| DockerError::Conflict(format!("the command {exec} still runs")))
    }

    /// The exit status of a container, once it ended.
    pub(super) async fn end_of(&self, id: &str) -> Result<i64, DockerError> {
        let docker = self.docker(STREAMING).await?;
        let answer = docker
            .wait_container(id, None)
            .next()
            .await
            .unwrap_or(Err(bollard::errors::Error::RequestTimeoutError));
        let code = match answer {
            Ok(ended) => ended.status_code,
            Err(bollard::errors::Error::DockerContainerWaitError { code, .. }) => code,
            Err(error) => return self.note(Err(translate::error(error))).await,
        };
        // The daemon answers at once for a container that was never started.
        match self.inspect(id).await? {
            Some(found) if found.state == ContainerState::Created => Err(DockerError::Conflict(
                format!("container {id} was not started"),
            )),
            _ => Ok(code),
        }
    }

    pub(super) async fn signal(&self, id: &str, signal: &str) -> Result<(), DockerError> {
        let options = query::KillContainerOptionsBuilder::default()
            .signal(signal)
            .build();
        self.call(QUICK, |docker| async move {
            docker.kill_container(id, Some(options)).await
        })
        .await
    }

    pub(super) async fn set_frozen(&self, id: &str, freeze: Freeze) -> Result<(), DockerError> {
        let done = self.call(QUICK, |docker| async move {
            match freeze {
                Freeze::Begin => docker.pause_container(id).await,
                Freeze::End => docker.unpause_container(id).await,
            }
        });
        let Err(error) = done.await else {
            return Ok(());
        };
        // The daemon's answers to one that is frozen, or goes on, already differ between versions.
        let found = self.inspect(id).await?;
        let wanted = freeze == Freeze::Begin;
        match found {
            Some(container) if container.is_running() && container.frozen == wanted => Ok(()),
            Some(container) if !container.is_running() => Err(DockerError::Conflict(format!(
                "container {id} is not running"
            ))),
            _ => Err(error),
        }
    }

    pub(super) async fn set_limits(
        &self,
        id: &str,
        memory: Megabytes,
        cpu_limit: Option<u32>,
    ) -> Result<(), DockerError> {
        let bytes = memory.to_bytes().0;
        let body = models::ContainerUpdateBody {
            memory: Some(bytes),
            memory_swap: Some(bytes),
            nano_cpus: translate::nano_cpus(cpu_limit),
            ..Default::default()
        };
        self.call(QUICK, |docker| async move {
            docker.update_container(id, body).await
        })
        .await
    }
}
