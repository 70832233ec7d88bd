//! Files that a client has open: one command each, while it goes on where it left off.

use bytes::{Bytes, BytesMut};
use russh_sftp::protocol::{File, StatusCode};
use russh_sftp::server::StatusReply;
use tokio::io::AsyncWriteExt;

use super::tools::{READ, STAT, Tools, WRITE, check, failure};
use crate::docker::{ByteWriter, LogStream};
use crate::ssh::process::{Output, Process, Streams};

/// The longest answer to one request.
const LONGEST_PART: usize = 256 * 1024;
/// What a command may say of its failure.
const LONGEST_FAULT: usize = 4096;

/// Something that a client has open.
pub(super) enum Open {
    /// The entries of a folder that were not told yet.
    Folder(Vec<File>),
    /// A file that is read.
    Reading(Reader),
    /// A file that is written.
    Writing(Writer),
}

/// Reads a file.
pub(super) struct Reader {
    path: String,
    from: Option<Source>,
}

struct Source {
    offset: u64,
    output: Output,
    rest: Bytes,
}

impl Reader {
    pub(super) fn new(path: String) -> Self {
        Self { path, from: None }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The bytes at `offset`; fewer than asked for only at the end of the file.
    pub(super) async fn read(
        &mut self,
        tools: &Tools,
        offset: u64,
        length: u32,
    ) -> Result<Bytes, StatusReply> {
        let goes_on = self.from.as_ref().is_some_and(|from| from.offset == offset);
        if !goes_on {
            let spec = Tools::spec(READ, &[&self.path, &offset.to_string()])?;
            let started = Process::start(&tools.engine, &tools.container, &spec).await;
            let (_, streams) = started.map_err(|error| failure(&error.to_string()))?;
            self.from = Some(Source {
                offset,
                output: streams.output.silenced(),
                rest: Bytes::new(),
            });
        }
        let Some(from) = &mut self.from else {
            return Err(StatusCode::Eof.into());
        };
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(LONGEST_PART);
        let part = from.take(length).await?;
        if part.is_empty() {
            return Err(StatusCode::Eof.into());
        }
        Ok(part)
    }
}

impl Source {
    async fn take(&mut self, length: usize) -> Result<Bytes, StatusReply> {
        let mut taken = BytesMut::with_capacity(length.min(LONGEST_PART));
        while taken.len() < length {
            if self.rest.is_empty() {
                match self.output.next().await {
                    Some(Ok((_, data))) => self.rest = data,
                    Some(Err(error)) => return Err(failure(&error.to_string())),
                    None => break,
                }
            }
            let count = (length - taken.len()).min(self.rest.len());
            taken.extend_from_slice(&self.rest.split_to(count));
        }
        self.offset += taken.len() as u64;
        Ok(taken.freeze())
    }
}

/// Writes a file.
pub(super) struct Writer {
    path: String,
    appends: bool,
    to: Option<Sink>,
}

struct Sink {
    offset: u64,
    process: Process,
    input: ByteWriter,
    output: Output,
}

impl Writer {
    pub(super) fn new(path: String, appends: bool) -> Self {
        Self {
            path,
            appends,
            to: None,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Writes at `offset`, or at the end of a file that is appended to.
    pub(super) async fn write(
        &mut self,
        tools: &Tools,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StatusReply> {
        let goes_on = self
            .to
            .as_ref()
            .is_some_and(|to| self.appends || to.offset == offset);
        if !goes_on {
            self.finish().await?;
            let offset = if self.appends {
                size(tools, &self.path).await?
            } else {
                offset
            };
            let spec = Tools::spec(WRITE, &[&self.path, &offset.to_string()])?;
            let started = Process::start(&tools.engine, &tools.container, &spec).await;
            let (process, streams) = started.map_err(|error| failure(&error.to_string()))?;
            let Streams { input, output } = streams;
            self.to = Some(Sink {
                offset,
                process,
                input,
                output,
            });
        }
        let Some(to) = &mut self.to else {
            return Err(failure("the file is not open"));
        };
        if to.input.write_all(data).await.is_err() {
            // Its end says why.
            self.finish().await?;
            return Err(failure("the file takes no more"));
        }
        to.offset += data.len() as u64;
        Ok(())
    }

    /// Waits until everything is written.
    pub(super) async fn finish(&mut self) -> Result<(), StatusReply> {
        let Some(mut to) = self.to.take() else {
            return Ok(());
        };
        if let Err(error) = to.input.shutdown().await {
            tracing::debug!(%error, "cannot close the input of a command that writes a file");
        }
        drop(to.input);
        let mut said = Vec::new();
        while let Some(part) = to.output.next().await {
            match part {
                Ok((LogStream::Err, text)) if said.len() < LONGEST_FAULT => {
                    said.extend_from_slice(&text);
                }
                Ok(_) => {}
                Err(error) => return Err(failure(&error.to_string())),
            }
        }
        let end = to.process.end(to.output.refused).await;
        // A command that ended well took everything.
        check(end, &String::from_utf8_lossy(&said))
    }
}

async fn size(tools: &Tools, path: &str) -> Result<u64, StatusReply> {
    let found = tools.attributes(STAT, path).await?;
    Ok(found.size.unwrap_or_default())
}
