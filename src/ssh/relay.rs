//! Carries bytes between a channel and what it is connected to.
//!
//! The client may send as long as it likes: the SSH library grants a new window as soon as data
//! arrives. So what is not taken yet waits here, and beyond [`SOFT`] bytes the whole connection
//! waits, which slows the client down. The connection cannot wait while output is due on it, as a
//! command may not take its input before its output is read; then more input is kept, up to
//! [`HARD`] bytes, and beyond that the channel is given up.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes};
use russh::server::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::process::{Output, Process, Streams};
use crate::docker::{ByteWriter, LogStream, TerminalSize};

/// Input that waits before the connection does.
const SOFT: usize = 1024 * 1024;
/// The most input that waits while output is due.
const HARD: usize = 64 * 1024 * 1024;
/// Ends the input of a terminal.
const END_OF_TERMINAL: Bytes = Bytes::from_static(b"\x04\x04");
/// A terminal takes no note of its end while a shell changes how it reads: it is told again.
const END_AGAIN: Duration = Duration::from_secs(1);
/// Code of standard error in SSH.
const STANDARD_ERROR: u32 = 1;

/// Why a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relayed {
    /// The output ended.
    Output,
    /// The client closed the channel or is gone.
    Client,
    /// The client sent far more than was taken.
    Overrun,
}

/// The two directions of a channel.
pub(super) struct Ends<'a> {
    pub(super) reader: &'a mut ChannelReadHalf,
    pub(super) writer: &'a ChannelWriteHalf<Msg>,
}

/// Carries bytes until one side ends; `control` gets signals and sizes of a terminal, and the last
/// signal is returned.
pub(super) async fn relay(
    ends: Ends<'_>,
    streams: Streams,
    control: Option<&Process>,
    is_terminal: bool,
) -> (Relayed, Option<Sig>, bool) {
    let Ends { reader, writer } = ends;
    let Streams { input, mut output } = streams;
    let (waits, waiting) = watch::channel(false);
    let mut incoming = Incoming {
        queue: VecDeque::new(),
        bytes: 0,
        input: Some(input),
        is_closed: false,
        is_terminal,
        control,
        signal: None,
    };
    let relayed = tokio::select! {
        relayed = incoming.take(reader, waiting) => relayed,
        () = send(writer, &mut output, &waits) => Relayed::Output,
    };
    let signal = incoming.signal.take();
    // This closes the input.
    drop(incoming);
    if let Some(process) = control.filter(|_| relayed != Relayed::Output) {
        process.learn(&mut output).await;
    }
    (relayed, signal, output.refused)
}

/// Sends all output; ends early when the client is gone.
async fn send(writer: &ChannelWriteHalf<Msg>, output: &mut Output, waits: &watch::Sender<bool>) {
    while let Some(part) = output.next().await {
        let (stream, data) = match part {
            Ok(part) => part,
            Err(error) => {
                tracing::debug!(%error, "the output of a session broke");
                return;
            }
        };
        waits.send_replace(true);
        let sent = match stream {
            LogStream::Out => writer.data_bytes(data).await,
            LogStream::Err => writer.extended_data_bytes(STANDARD_ERROR, data).await,
        };
        waits.send_replace(false);
        if sent.is_err() {
            return;
        }
    }
}

/// What comes from the client.
struct Incoming<'a> {
    queue: VecDeque<Bytes>,
    bytes: usize,
    input: Option<ByteWriter>,
    is_closed: bool,
    is_terminal: bool,
    control: Option<&'a Process>,
    signal: Option<Sig>,
}

impl Incoming<'_> {
    async fn take(
        &mut self,
        reader: &mut ChannelReadHalf,
        mut waiting: watch::Receiver<bool>,
    ) -> Relayed {
        loop {
            let is_waiting = *waiting.borrow_and_update();
            let limit = if is_waiting { HARD } else { SOFT };
            if self.bytes >= HARD {
                return Relayed::Overrun;
            }
            tokio::select! {
                message = reader.wait(), if self.bytes < limit => {
                    let Some(message) = message else { return Relayed::Client };
                    if matches!(message, ChannelMsg::Close) {
                        return Relayed::Client;
                    }
                    self.message(message).await;
                }
                written = write_some(&mut self.input, self.queue.front()), if !self.queue.is_empty() => {
                    self.written(written).await;
                }
                () = tokio::time::sleep(END_AGAIN), if self.is_at_end_of_terminal() => {
                    self.push(END_OF_TERMINAL);
                }
                changed = waiting.changed(), if self.bytes >= limit => if changed.is_err() {
                    return Relayed::Output;
                },
            }
        }
    }

    async fn message(&mut self, message: ChannelMsg) {
        match message {
            ChannelMsg::Data { data } if !self.is_closed => self.push(data),
            ChannelMsg::Eof if !self.is_closed => {
                if self.is_terminal {
                    self.push(END_OF_TERMINAL);
                }
                self.is_closed = true;
                self.close_when_empty().await;
            }
            ChannelMsg::WindowChange {
                col_width,
                row_height,
                ..
            } => {
                let size = (u16::try_from(row_height), u16::try_from(col_width));
                if let (Some(process), true, (Ok(rows), Ok(columns))) =
                    (self.control, self.is_terminal, size)
                {
                    process.resize(TerminalSize { rows, columns }).await;
                }
            }
            ChannelMsg::Signal { signal } => {
                if let (Some(process), Some(name)) = (self.control, name_of(&signal)) {
                    // The command may end of it before the daemon says that it was sent.
                    self.signal = Some(signal);
                    process.signal(name).await;
                }
            }
            _ => {}
        }
    }

    fn push(&mut self, data: Bytes) {
        // A command that closed its input takes none.
        if self.input.is_some() && !data.is_empty() {
            self.bytes += data.len();
            self.queue.push_back(data);
        }
    }

    async fn written(&mut self, written: std::io::Result<usize>) {
        match (written, self.queue.front_mut()) {
            (Ok(count), Some(data)) if count > 0 => {
                data.advance(count);
                self.bytes -= count;
                if data.is_empty() {
                    self.queue.pop_front();
                }
            }
            _ => {
                self.input = None;
                self.queue.clear();
                self.bytes = 0;
            }
        }
        self.close_when_empty().await;
    }

    /// Whether everything was written to a terminal, whose session goes on.
    fn is_at_end_of_terminal(&self) -> bool {
        self.is_terminal && self.is_closed && self.queue.is_empty()
    }

    /// A terminal's input stays open: its end is a character.
    async fn close_when_empty(&mut self) {
        if !self.is_closed || !self.queue.is_empty() || self.is_terminal {
            return;
        }
        if let Some(mut input) = self.input.take()
            && let Err(error) = input.shutdown().await
        {
            tracing::debug!(%error, "cannot close the input of a session");
        }
    }
}

/// Writes a part of `data`; nothing is lost when this is dropped before it is done.
async fn write_some(
    input: &mut Option<ByteWriter>,
    data: Option<&Bytes>,
) -> std::io::Result<usize> {
    let (Some(input), Some(data)) = (input, data) else {
        return Ok(0);
    };
    std::future::poll_fn(|context| input.as_mut().poll_write(context, data)).await
}

/// Signals that a client may send, by the names that `kill` knows.
pub(super) fn name_of(signal: &Sig) -> Option<&'static str> {
    Some(match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) if name == "USR2" => "USR2",
        Sig::Custom(_) => return None,
    })
}
