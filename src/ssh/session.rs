//! A channel with a session: variables and a terminal, then a shell or a command to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::time::timeout;

use super::command::{self, Asked};
use super::files;
use super::process::{End, Process, ProcessError, ask};
use super::relay::{Ends, Relayed, name_of, relay};
use crate::docker::{Engine, ExecSpec};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(60);
/// Status of a command that cannot be started, as shells have it.
const NOT_STARTED: u32 = 126;
const STANDARD_ERROR: u32 = 1;
/// The subsystem for files.
pub(super) const SFTP: &str = "sftp";

/// What a client wants of a session.
enum Wanted {
    /// A shell or a command.
    Run(ExecSpec),
    /// Files over SFTP.
    Files,
}

/// What serves a session.
pub(super) struct Session {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) container: String,
    pub(super) handle: Handle,
}

impl Session {
    /// Serves a session from its opening to its end.
    pub(super) async fn serve(self, channel: Channel<Msg>) {
        let (mut reader, writer) = channel.split();
        let Ok(wanted) = timeout(PATIENCE, wanted(&mut reader)).await else {
            self.fail(&writer, "nothing was asked for in a minute")
                .await;
            return;
        };
        let Some(wanted) = wanted else { return };
        match wanted {
            Ok(Wanted::Run(spec)) => self.run(&mut reader, &writer, &spec).await,
            Ok(Wanted::Files) => self.files(&mut reader, &writer).await,
            Err(text) => self.fail(&writer, &text).await,
        }
    }

    async fn run(
        &self,
        reader: &mut ChannelReadHalf,
        writer: &ChannelWriteHalf<Msg>,
        spec: &ExecSpec,
    ) {
        let (process, streams) = match Process::start(&self.engine, &self.container, spec).await {
            Ok(started) => started,
            Err(error) => return self.fail(writer, &error.to_string()).await,
        };
        let is_terminal = spec.terminal.is_some();
        let ends = Ends { reader, writer };
        let (relayed, signal, refused) = relay(ends, streams, Some(&process), is_terminal).await;
        match relayed {
            Relayed::Output => match process.end(refused).await {
                End::Status(status) => self.exit(writer, status, signal).await,
                End::Gone => {
                    let text = "the instance ended".to_owned();
                    self.exit_signal(writer, Sig::KILL, text).await;
                }
                End::NoShell => self.fail(writer, &ProcessError::NoShell.to_string()).await,
            },
            Relayed::Client => process.hang_up().await,
            Relayed::Overrun => {
                self.fail(writer, "the command does not take its input")
                    .await;
                process.hang_up().await;
            }
        }
    }

    /// Files, by the image's own server or by one here that uses its tools.
    async fn files(&self, reader: &mut ChannelReadHalf, writer: &ChannelWriteHalf<Msg>) {
        let look = command::find_sftp_server();
        match ask(&self.engine, &self.container, &look).await {
            Ok((End::Status(0), _)) => {
                return self.run(reader, writer, &command::sftp_server()).await;
            }
            Ok((End::Status(_), _)) => {}
            Ok((End::NoShell, _)) => {
                return self.fail(writer, &ProcessError::NoShell.to_string()).await;
            }
            Ok((End::Gone, _)) => {
                return self
                    .fail(writer, &ProcessError::NotRunning.to_string())
                    .await;
            }
            Err(error) => return self.fail(writer, &error.to_string()).await,
        }
        let streams = files::serve(&self.engine, &self.container).await;
        let (relayed, _, _) = relay(Ends { reader, writer }, streams, None, false).await;
        if relayed != Relayed::Client {
            self.exit(writer, 0, None).await;
        }
    }

    /// Tells an end. Only a signal that the client sent is told as one: the daemon reports others
    /// as statuses, as a shell does.
    async fn exit(&self, writer: &ChannelWriteHalf<Msg>, status: u32, signal: Option<Sig>) {
        if let Some(signal) = signal
            && number_of(&signal).is_some_and(|number| status == 128 + number)
        {
            return self.exit_signal(writer, signal, String::new()).await;
        }
        // A client that is gone needs nothing.
        drop(writer.exit_status(status).await);
        close(writer).await;
    }

    async fn exit_signal(&self, writer: &ChannelWriteHalf<Msg>, signal: Sig, text: String) {
        let id = writer.id();
        let told = self
            .handle
            .exit_signal_request(id, signal, false, text, String::new());
        if told.await.is_err() {
            tracing::debug!("a client left before it heard of a signal");
        }
        close(writer).await;
    }

    /// Says why nothing runs.
    async fn fail(&self, writer: &ChannelWriteHalf<Msg>, text: &str) {
        let text = Bytes::from(format!("cflite: {text}\r\n"));
        drop(writer.extended_data_bytes(STANDARD_ERROR, text).await);
        drop(writer.exit_status(NOT_STARTED).await);
        close(writer).await;
    }
}

async fn close(writer: &ChannelWriteHalf<Msg>) {
    drop(writer.eof().await);
    drop(writer.close().await);
}

/// What the client wants; `None` when it closes the channel first.
async fn wanted(reader: &mut ChannelReadHalf) -> Option<Result<Wanted, String>> {
    let mut asked = Asked::default();
    loop {
        match reader.wait().await? {
            ChannelMsg::SetEnv {
                variable_name,
                variable_value,
                ..
            } => asked.set(&variable_name, &variable_value),
            ChannelMsg::RequestPty {
                term,
                col_width,
                row_height,
                ..
            } => asked.terminal(Some(&term), col_width, row_height),
            ChannelMsg::WindowChange {
                col_width,
                row_height,
                ..
            } if asked.terminal.is_some() => asked.terminal(None, col_width, row_height),
            ChannelMsg::RequestShell { .. } => return Some(asked.session(None).map(Wanted::Run)),
            ChannelMsg::RequestSubsystem { name, .. } if name == SFTP => {
                return Some(Ok(Wanted::Files));
            }
            ChannelMsg::Exec { command, .. } => {
                return Some(asked.session(Some(&command)).map(Wanted::Run));
            }
            ChannelMsg::Close => return None,
            _ => {}
        }
    }
}

fn number_of(signal: &Sig) -> Option<u32> {
    Some(match name_of(signal)? {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "ILL" => 4,
        "ABRT" => 6,
        "FPE" => 8,
        "KILL" => 9,
        "USR1" => 10,
        "SEGV" => 11,
        "USR2" => 12,
        "PIPE" => 13,
        "ALRM" => 14,
        "TERM" => 15,
        _ => return None,
    })
}
