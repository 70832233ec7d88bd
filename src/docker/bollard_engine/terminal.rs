//! Commands in terminals.
//!
//! The daemon sends what a terminal shows as it is, without frames. bollard takes bytes 0 to 2 at
//! the beginning of a part for a frame's head and then waits for its end, so such a command is
//! started over a connection of its own.

use std::time::Duration;

use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::io::ReaderStream;

use super::{BollardEngine, QUICK, SLOW};
use crate::docker::{Attached, DockerError, LogStream, TerminalSize};

/// Bytes that are read at once.
const PART: usize = 32 * 1024;
/// How long a daemon's refusal may take to arrive.
const REFUSAL: Duration = Duration::from_secs(5);

trait Connected: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connected for T {}

impl BollardEngine {
    /// Starts a command that was created with a terminal.
    pub(super) async fn start_in_terminal(
        &self,
        exec: &str,
        size: TerminalSize,
    ) -> Result<Attached, DockerError> {
        let started = tokio::time::timeout(SLOW, self.upgrade(exec, size)).await;
        let started = started.unwrap_or_else(|_| {
            let seconds = SLOW.as_secs();
            Err(self.unreachable(&format!("no answer within {seconds} s")))
        });
        let started = self.note(started).await?;
        // Daemons before 23.0 do not know `ConsoleSize`.
        if let Err(error) = self.resize_terminal_of_exec(exec, size).await {
            // It may have ended already.
            tracing::debug!(%error, "cannot set the size of a terminal");
        }
        Ok(started)
    }

    pub(super) async fn resize_terminal_of_exec(
        &self,
        exec: &str,
        size: TerminalSize,
    ) -> Result<(), DockerError> {
        let options = query::ResizeExecOptionsBuilder::default()
            .h(i32::from(size.rows))
            .w(i32::from(size.columns))
            .build();
        self.call(QUICK, |docker| async move {
            docker.resize_exec(exec, options).await
        })
        .await
    }

    async fn upgrade(&self, exec: &str, size: TerminalSize) -> Result<Attached, DockerError> {
        let connection = self
            .open()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection))
                .await
                .map_err(|error| self.unreachable(&error))?;
        let body = json!({
            "Detach": false,
            "Tty": true,
            "ConsoleSize": [size.rows, size.columns],
        });
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/exec/{exec}/start"))
            .header(header::HOST, "docker")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "tcp")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| DockerError::Failed(error.to_string()))?;
        // The connection works while it is polled, and ends with the upgrade.
        let exchange = async {
            let answer = sender.send_request(request).await;
            let mut answer = answer.map_err(|error| self.unreachable(&error))?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refusal(answer).await);
            }
            let upgraded = hyper::upgrade::on(&mut answer).await;
            upgraded.map_err(|error| self.unreachable(&error))
        };
        let driven = async {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "the connection of a terminal broke");
            }
            std::future::pending::<()>().await;
        };
        let upgraded = tokio::select! {
            upgraded = exchange => upgraded?,
            () = driven => return Err(self.unreachable(&"the connection ended")),
        };
        let (read, write) = tokio::io::split(TokioIo::new(upgraded));
        let output = ReaderStream::with_capacity(read, PART).map(|part| {
            let part = part.map_err(|error| DockerError::Unreachable(error.to_string()))?;
            Ok((LogStream::Out, part))
        });
        Ok(Attached {
            input: Box::pin(write),
            output: Box::pin(output),
        })
    }

    async fn open(&self) -> std::io::Result<Box<dyn Connected>> {
        let host = &self.host;
        for scheme in ["tcp://", "http://"] {
            if let Some(address) = host.strip_prefix(scheme) {
                let stream = TcpStream::connect(address.trim_end_matches('/')).await?;
                stream.set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
        }
        let path = host.strip_prefix("unix://").unwrap_or(host);
        Ok(Box::new(UnixStream::connect(path).await?))
    }
}

/// What the daemon says instead of starting the command.
async fn refusal(answer: http::Response<hyper::body::Incoming>) -> DockerError {
    let status = answer.status();
    let body = tokio::time::timeout(REFUSAL, answer.into_body().collect()).await;
    let body = body.map(|body| body.map(|body| body.to_bytes()).unwrap_or_default());
    let body = body.unwrap_or_default();
    let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = said["message"].as_str().unwrap_or("no reason");
    let text = format!("{text} ({status})");
    match status {
        StatusCode::NOT_FOUND => DockerError::NotFound(text),
        StatusCode::CONFLICT => DockerError::Conflict(text),
        _ => DockerError::Failed(text),
    }
}
