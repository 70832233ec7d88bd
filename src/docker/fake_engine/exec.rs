//! Commands in running containers: a script answers them, by a part of their words.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use super::FakeEngine;
use super::command::Command;
use super::enter::no_container;
use super::state::Death;
use crate::docker::{
    Attached, ContainerState, DockerError, EngineStream, ExecSpec, Executing, Freeze, LogStream,
    TerminalSize,
};

const PIPE: usize = 64 * 1024;

impl FakeEngine {
    /// Answers commands whose words (joined by blanks) contain `part`; the latest that fits wins, and
    /// without one a command ends with status 0 and says nothing.
    pub fn program(
        &self,
        part: &str,
        program: impl Fn(&str) -> (i64, String) + Send + Sync + 'static,
    ) {
        self.state()
            .programs
            .push((part.to_owned(), Arc::new(program)));
    }

    /// Commands so far.
    pub fn commands(&self) -> Vec<Command> {
        self.state().commands.clone()
    }

    pub(super) fn execute(&self, id: &str, spec: &ExecSpec) -> Result<Executing, DockerError> {
        let (number, program) = {
            let mut state = self.state();
            let found = state.find(id).ok_or_else(|| no_container(id))?;
            if !matches!(found.state, ContainerState::Running { .. }) {
                return Err(DockerError::Conflict(format!(
                    "container {id} is not running"
                )));
            }
            if found.frozen {
                return Err(DockerError::Conflict(format!("container {id} is paused")));
            }
            let container = found.spec.name.clone();
            let words = spec.command.join(" ");
            let scripted = state.programs.iter().rev();
            let program = { scripted }
                .find(|(part, _)| words.contains(part))
                .map(|(_, program)| program.clone());
            state.commands.push(Command {
                container,
                words: spec.command.clone(),
                environment: spec.environment.clone(),
                terminal: spec.terminal,
                ..Command::default()
            });
            (state.commands.len() - 1, program)
        };
        let (input, mut given) = tokio::io::duplex(PIPE);
        let engine = self.clone();
        let output = futures_util::stream::once(async move {
            let mut text = String::new();
            given
                .read_to_string(&mut text)
                .await
                .map_err(|error| DockerError::Failed(error.to_string()))?;
            let (status, said) = program.map_or((0, String::new()), |program| program(&text));
            let mut state = engine.state();
            if let Some(command) = state.commands.get_mut(number) {
                command.input = text;
                command.status = Some(status);
            }
            Ok((LogStream::Out, Bytes::from(said)))
        });
        let output: EngineStream<(LogStream, Bytes)> = Box::pin(output);
        Ok(Executing {
            id: number.to_string(),
            streams: Attached {
                input: Box::pin(input),
                output,
            },
        })
    }

    pub(super) fn status_of_exec(&self, exec: &str) -> Result<i64, DockerError> {
        let number: usize = exec
            .parse()
            .map_err(|_| DockerError::NotFound(format!("command {exec}")))?;
        let state = self.state();
        let command = state.commands.get(number);
        let command = command.ok_or_else(|| DockerError::NotFound(format!("command {exec}")))?;
        command
            .status
            .ok_or_else(|| DockerError::Conflict(format!("the command {exec} still runs")))
    }

    pub(super) fn resize_terminal(
        &self,
        exec: &str,
        size: TerminalSize,
    ) -> Result<(), DockerError> {
        let missing = || DockerError::NotFound(format!("command {exec}"));
        let number: usize = exec.parse().map_err(|_| missing())?;
        let mut state = self.state();
        let command = state.commands.get_mut(number).ok_or_else(missing)?;
        if command.terminal.is_none() {
            return Err(DockerError::Failed(format!(
                "the command {exec} has no terminal"
            )));
        }
        command.terminal = Some(size);
        Ok(())
    }

    pub(super) fn set_frozen(&self, id: &str, freeze: Freeze) -> Result<(), DockerError> {
        let mut state = self.state();
        let found = state.find_mut(id).ok_or_else(|| no_container(id))?;
        if !matches!(found.state, ContainerState::Running { .. }) {
            let text = format!("container {id} is not running");
            return Err(DockerError::Conflict(text));
        }
        found.frozen = freeze == Freeze::Begin;
        Ok(())
    }

    /// Only SIGKILL has an effect.
    pub(super) fn signal(&self, id: &str, signal: &str) -> Result<(), DockerError> {
        let running = {
            let state = self.state();
            let found = state.find(id).ok_or_else(|| no_container(id))?;
            matches!(found.state, ContainerState::Running { .. })
        };
        if !running {
            return Err(DockerError::Conflict(format!(
                "container {id} is not running"
            )));
        }
        if signal == "SIGKILL" {
            self.end(id, Death::Killed);
        }
        Ok(())
    }
}
