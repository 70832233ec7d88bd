//! The standard streams of a container, and its terminal.

use bollard::container::LogOutput;
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::StreamExt;

use super::{BollardEngine, QUICK, translate};
use crate::docker::{Attached, DockerError, LogStream};

impl BollardEngine {
    pub(super) async fn attach_streams(&self, id: &str) -> Result<Attached, DockerError> {
        let options = query::AttachContainerOptionsBuilder::default()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let attached = self
            .call(QUICK, |docker| async move {
                docker.attach_container(id, Some(options)).await
            })
            .await?;
        Ok(Attached {
            input: attached.input,
            output: Box::pin(attached.output.map(output)),
        })
    }

    pub(super) async fn resize_terminal(
        &self,
        id: &str,
        rows: u16,
        columns: u16,
    ) -> Result<(), DockerError> {
        let options = query::ResizeContainerTTYOptionsBuilder::default()
            .h(i32::from(rows))
            .w(i32::from(columns))
            .build();
        self.call(QUICK, |docker| async move {
            docker.resize_container_tty(id, options).await
        })
        .await
    }
}

/// A terminal has one stream.
pub(super) fn output(
    output: Result<LogOutput, bollard::errors::Error>,
) -> Result<(LogStream, Bytes), DockerError> {
    match output.map_err(translate::error)? {
        LogOutput::StdErr { message } => Ok((LogStream::Err, message)),
        LogOutput::StdOut { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message } => Ok((LogStream::Out, message)),
    }
}
