//! Does what hooks say, in a running container.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::catalog::{Action, Hook, Input, Spec};
use super::container::tar_of;
use super::failure::Failure;
use super::redact::Secrets;
use super::template::render;
use crate::docker::{Attached, ByteReader, Engine, ExecSpec, LogStream, Upload};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a dump or its loading may take.
pub(super) const DUMP_PATIENCE: Duration = Duration::from_secs(1200);
/// How long connecting to a port may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// How soon a proxy hangs up that reaches nobody.
const HANGING_UP: Duration = Duration::from_millis(200);
/// The most that is kept of what a command says.
const LONGEST_OUTPUT: usize = 64 * 1024;
/// The most of an error that is told.
const LONGEST_FAULT: usize = 500;

/// A container in which hooks run.
pub(super) struct Hooks<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) container: &'a str,
    pub(super) spec: &'a Spec,
    pub(super) variables: &'a Map<String, Value>,
    pub(super) secrets: Secrets,
}

/// What a command left.
struct Ended {
    status: i64,
    errors: Vec<u8>,
}

/// The beginning of what a command says.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        keep(&mut self.0, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = LONGEST_OUTPUT.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

impl Hooks<'_> {
    /// Does all, in order, until one fails.
    pub(super) async fn run(&self, hooks: &[Hook]) -> Result<(), Failure> {
        for hook in hooks {
            self.one(hook, None).await?;
        }
        Ok(())
    }

    /// Does one.
    pub(super) async fn one(&self, hook: &Hook, dump: Option<ByteReader>) -> Result<(), Failure> {
        match &hook.action {
            Action::Exec {
                command,
                user,
                input,
                expect,
            } => {
                let spec = self.command(command, user.as_deref())?;
                let loads = *input == Input::Dump;
                let input: ByteReader = match (input, dump) {
                    (Input::Empty, _) => Box::pin(tokio::io::empty()),
                    (Input::Text(text), _) => {
                        Box::pin(io::Cursor::new(self.render(text)?.into_bytes()))
                    }
                    (Input::Dump, Some(dump)) => dump,
                    (Input::Dump, None) => return Err(Failure::new("there is no dump to load")),
                };
                let patience = if loads { DUMP_PATIENCE } else { PATIENCE };
                let mut output = Bounded::default();
                let ended = self.execute(&spec, input, &mut output, patience).await?;
                let said = expect.as_deref().map(|expected| (expected, output.0));
                self.judge(&spec, &ended, said)
            }
            Action::Connect(port) => self.connect(port).await,
            Action::Signal(name) => Ok(self.engine.kill(self.container, name).await?),
            Action::Write { path, body, owner } => {
                self.write(path, &self.render(body)?, owner.as_deref())
                    .await
            }
        }
    }

    /// Runs a command whose output is a dump, into `sink`.
    pub(super) async fn dump(
        &self,
        hook: &Hook,
        sink: impl AsyncWrite + Unpin + Send,
    ) -> Result<(), Failure> {
        let Action::Exec {
            command,
            user,
            input,
            ..
        } = &hook.action
        else {
            return Err(Failure::new("only a command makes a dump"));
        };
        let spec = self.command(command, user.as_deref())?;
        let input: ByteReader = match input {
            Input::Text(text) => Box::pin(io::Cursor::new(self.render(text)?.into_bytes())),
            Input::Empty | Input::Dump => Box::pin(tokio::io::empty()),
        };
        let ended = self.execute(&spec, input, sink, DUMP_PATIENCE).await?;
        self.judge(&spec, &ended, None)
    }

    fn render(&self, text: &str) -> Result<String, Failure> {
        Ok(render(text, self.variables)?)
    }

    fn command(&self, words: &[String], user: Option<&str>) -> Result<ExecSpec, Failure> {
        let words: Result<_, _> = words.iter().map(|word| self.render(word)).collect();
        let environment = self.spec.hook_environment.iter();
        let environment: Result<_, Failure> = environment
            .map(|(name, value)| Ok((name.clone(), self.render(value)?)))
            .collect();
        Ok(ExecSpec {
            command: words?,
            user: user.map(str::to_owned),
            environment: environment?,
            ..ExecSpec::default()
        })
    }
}

impl Hooks<'_> {
    async fn execute(
        &self,
        spec: &ExecSpec,
        mut input: ByteReader,
        mut sink: impl AsyncWrite + Unpin + Send,
        patience: Duration,
    ) -> Result<Ended, Failure> {
        let work = async {
            let executing = self.engine.exec(self.container, spec).await?;
            let mut streams = executing.streams;
            let feed = async {
                // A command that does not read its input ends before all is written.
                let fed = tokio::io::copy(&mut input, &mut streams.input).await;
                streams.input.shutdown().await.ok();
                fed
            };
            let read = async {
                let mut errors = Vec::new();
                while let Some(part) = streams.output.next().await {
                    match part? {
                        (LogStream::Out, bytes) => sink.write_all(&bytes).await.map_err(broken)?,
                        (LogStream::Err, bytes) => keep(&mut errors, &bytes),
                    }
                }
                sink.shutdown().await.map_err(broken)?;
                Ok::<_, Failure>(errors)
            };
            let (_, errors) = tokio::join!(feed, read);
            Ok(Ended {
                errors: errors?,
                status: self.engine.exec_status(&executing.id).await?,
            })
        };
        match tokio::time::timeout(patience, work).await {
            Ok(ended) => ended,
            Err(_) => Err(Failure::new(format!(
                "{} did not end within {} s",
                program(spec),
                patience.as_secs()
            ))),
        }
    }

    fn judge(
        &self,
        spec: &ExecSpec,
        ended: &Ended,
        said: Option<(&str, Vec<u8>)>,
    ) -> Result<(), Failure> {
        if ended.status != 0 {
            let text = self.fault(&ended.errors);
            let text = if text.is_empty() {
                String::new()
            } else {
                format!(": {text}")
            };
            let status = ended.status;
            return Err(Failure::new(format!(
                "{} ended with status {status}{text}",
                program(spec)
            )));
        }
        match said {
            Some((expected, output)) if !String::from_utf8_lossy(&output).contains(expected) => {
                let text = self.fault(&output);
                Err(Failure::new(format!(
                    "{} said {text:?} instead of {expected:?}",
                    program(spec)
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether something listens at a port.
    async fn connect(&self, name: &str) -> Result<(), Failure> {
        let port = self.spec.ports.get(name).map(|port| port.port);
        let port = port.ok_or_else(|| Failure::new(format!("there is no port {name}")))?;
        let container = self.engine.inspect(self.container).await?;
        let container = container.ok_or_else(|| Failure::new("the container was removed"))?;
        let is_routable = self.engine.info().await?.containers_routable;
        let address = match container.ip.filter(|_| is_routable) {
            Some(ip) => Some(SocketAddr::new(ip, port)),
            None => container.address(port),
        };
        let address = address.ok_or_else(|| Failure::new("the container has no address"))?;
        let nothing = || Failure::new(format!("nothing listens at port {port}"));
        let connected = tokio::time::timeout(CONNECTING, TcpStream::connect(address)).await;
        let mut stream = connected.map_err(|_| nothing())?.map_err(|_| nothing())?;
        // A proxy of the daemon listens before the service does, and then hangs up at once.
        let mut first = [0];
        let read = tokio::time::timeout(HANGING_UP, stream.read(&mut first));
        match read.await {
            Ok(Ok(0) | Err(_)) if !is_routable => Err(nothing()),
            _ => Ok(()),
        }
    }

    /// What a command complained about, without secrets.
    fn fault(&self, bytes: &[u8]) -> String {
        let text = self.secrets.redact(String::from_utf8_lossy(bytes).trim());
        text.chars().take(LONGEST_FAULT).collect()
    }

    /// Replaces a file: what reads it sees the old or the new one.
    async fn write(&self, path: &str, body: &str, owner: Option<&str>) -> Result<(), Failure> {
        let new = format!("{path}.new");
        let upload = Upload {
            folder: "/".to_owned(),
            tar: tar_of(&[(&new, body.as_bytes(), 0o400)])?,
        };
        self.engine.upload(self.container, upload).await?;
        let owner = owner.unwrap_or("root");
        let script = "chown \"$3\" \"$1\" && mv -f \"$1\" \"$2\"";
        let words = ["sh", "-c", script, "sh", &new, path, owner];
        let spec = ExecSpec {
            command: words.map(str::to_owned).to_vec(),
            ..ExecSpec::default()
        };
        let nothing = Box::pin(tokio::io::empty());
        let ended = self
            .execute(&spec, nothing, tokio::io::sink(), PATIENCE)
            .await?;
        self.judge(&spec, &ended, None)
    }
}

fn program(spec: &ExecSpec) -> &str {
    spec.command.first().map_or("a command", String::as_str)
}

fn broken(error: io::Error) -> Failure {
    Failure::new(error.to_string())
}

/// All that a command says, without what it complains about; it gets no input.
pub(super) async fn text_of(mut streams: Attached) -> Result<String, Failure> {
    streams.input.shutdown().await.ok();
    let mut said = Vec::new();
    let work = async {
        while let Some(part) = streams.output.next().await {
            if let (LogStream::Out, bytes) = part? {
                keep(&mut said, &bytes);
            }
        }
        Ok::<_, Failure>(())
    };
    let read = tokio::time::timeout(PATIENCE, work).await;
    read.map_err(|_| Failure::new("a command did not end in time"))??;
    Ok(String::from_utf8_lossy(&said).into_owned())
}
