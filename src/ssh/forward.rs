//! A port forwarded by a client (`-L`): a connection that begins in the container.
//!
//! The container's own tools connect, so `localhost` is the container's, and names are looked up
//! where the app looks them up. An image without any is reached from outside, which finds what
//! listens on all of its addresses.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use russh::server::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelOpenFailure};
use tokio::io::AsyncRead;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use futures_util::StreamExt;

use super::command;
use super::process::{End, Output, Process, ProcessError, Streams};
use super::relay::{Ends, Relayed, relay};
use crate::docker::{DockerError, Engine, LogStream};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// What the tool in the container says when it is connected.
const CONNECTED: &[u8] = b"succeeded!";
/// The most that it says before that.
const LONGEST_REPORT: usize = 4096;
/// Status of a container without any tool.
const NO_TOOL: u32 = 127;

/// A port to connect to.
pub(super) struct Forward {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) container: String,
    pub(super) host: String,
    pub(super) port: u16,
}

enum Attempt {
    Connected(Streams, Option<Process>),
    Refused(String),
    NoTool,
}

impl Forward {
    /// Connects, then opens the channel or not, and serves it to its end.
    pub(super) async fn serve(self, channel: Channel<Msg>, reply: ChannelOpenHandle) {
        let connected = timeout(PATIENCE, self.connect()).await;
        let (streams, process) = match connected {
            Ok(Attempt::Connected(streams, process)) => (streams, process),
            Ok(Attempt::Refused(text)) => {
                self.log(&text);
                return reply.reject(ChannelOpenFailure::ConnectFailed).await;
            }
            Ok(Attempt::NoTool) => {
                self.log("the image of the app has nothing to connect with");
                return reply.reject(ChannelOpenFailure::ConnectFailed).await;
            }
            Err(_) => {
                self.log("no answer in time");
                return reply.reject(ChannelOpenFailure::ConnectFailed).await;
            }
        };
        reply.accept().await;
        let (mut reader, writer) = channel.split();
        let ends = Ends {
            reader: &mut reader,
            writer: &writer,
        };
        let (relayed, _, _) = relay(ends, streams, None, false).await;
        if relayed != Relayed::Client {
            // A client that is gone needs nothing.
            drop(writer.eof().await);
            drop(writer.close().await);
        }
        if let Some(process) = process.filter(|_| relayed != Relayed::Output) {
            process.hang_up().await;
        }
    }

    fn log(&self, text: &str) {
        let (host, port) = (&self.host, self.port);
        tracing::info!(container = %self.container, host, port, "cannot forward a port: {text}");
    }

    async fn connect(&self) -> Attempt {
        match self.connect_inside().await {
            Attempt::NoTool => self.connect_from_outside().await,
            other => other,
        }
    }

    /// Connects with a tool of the container.
    async fn connect_inside(&self) -> Attempt {
        let spec = command::forward(&self.host, self.port);
        let started = Process::start(&self.engine, &self.container, &spec).await;
        let (process, streams) = match started {
            Ok(started) => started,
            Err(ProcessError::NoShell) => return Attempt::NoTool,
            Err(error) => return Attempt::Refused(error.to_string()),
        };
        let Streams { input, mut output } = streams;
        let mut report = BytesMut::new();
        loop {
            match output.next().await {
                Some(Ok((LogStream::Err, text))) if report.len() < LONGEST_REPORT => {
                    report.extend_from_slice(&text);
                    let mut parts = report.windows(CONNECTED.len());
                    if parts.any(|part| part == CONNECTED) {
                        let output = output.silenced();
                        return Attempt::Connected(Streams { input, output }, Some(process));
                    }
                }
                // It was faster than its report.
                Some(Ok((LogStream::Out, data))) if !output.refused => {
                    let output = output.silenced().after(data);
                    return Attempt::Connected(Streams { input, output }, Some(process));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Attempt::Refused(error.to_string()),
                None => break,
            }
        }
        match process.end(output.refused).await {
            End::Status(NO_TOOL) | End::NoShell => Attempt::NoTool,
            _ => Attempt::Refused(String::from_utf8_lossy(&report).trim().to_owned()),
        }
    }

    /// Connects to the container's address, which stands for its `localhost`.
    async fn connect_from_outside(&self) -> Attempt {
        let is_own = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if !is_own {
            return Attempt::NoTool;
        }
        let address = match self.address().await {
            Ok(Some(address)) => address,
            Ok(None) => return Attempt::NoTool,
            Err(error) => return Attempt::Refused(error.to_string()),
        };
        let stream = match TcpStream::connect((address, self.port)).await {
            Ok(stream) => stream,
            Err(error) => return Attempt::Refused(error.to_string()),
        };
        let (read, write) = stream.into_split();
        let streams = Streams {
            input: Box::pin(write),
            output: Output::of(outputs(read)),
        };
        Attempt::Connected(streams, None)
    }

    async fn address(&self) -> Result<Option<IpAddr>, DockerError> {
        if !self.engine.info().await?.containers_routable {
            return Ok(None);
        }
        let found = self.engine.inspect(&self.container).await?;
        Ok(found.and_then(|container| container.ip))
    }
}

fn outputs(
    read: impl AsyncRead + Send + 'static,
) -> crate::docker::EngineStream<(LogStream, bytes::Bytes)> {
    let parts = ReaderStream::with_capacity(read, 32 * 1024);
    Box::pin(parts.map(|part| {
        let part = part.map_err(|error| DockerError::Unreachable(error.to_string()))?;
        Ok((LogStream::Out, part))
    }))
}
