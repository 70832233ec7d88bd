//! A command in a container: its streams, its signals and its end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use super::command;
use crate::docker::{
    ByteWriter, DockerError, Engine, EngineStream, ExecSpec, LogStream, TerminalSize,
};

/// How long a signal or a new size may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after the end of its output a command may still run for the daemon.
const SETTLES: Duration = Duration::from_secs(2);
/// How long a command that was hung up may take to end.
const GRACE: Duration = Duration::from_secs(2);
/// How long the answer of a command without input may take.
const ANSWER: Duration = Duration::from_secs(60);
/// The most of an answer that is read.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(25);
/// The longest line with a process id.
const LONGEST_MARK: usize = 16;
/// What the daemon writes in place of a command that cannot be started.
const NOT_STARTED: &[u8] = b"OCI runtime exec failed";

/// Why there is no command.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessError {
    /// The container is gone.
    #[error("the instance does not run any more")]
    NotRunning,
    /// The image has no `/bin/sh`.
    #[error("the image of the app has no /bin/sh to start a session with")]
    NoShell,
    /// The daemon.
    #[error(transparent)]
    Docker(DockerError),
}

impl From<DockerError> for ProcessError {
    fn from(error: DockerError) -> Self {
        match error {
            DockerError::NotFound(_) | DockerError::Conflict(_) => Self::NotRunning,
            DockerError::Failed(text) if is_no_shell(text.as_bytes()) => Self::NoShell,
            other => Self::Docker(other),
        }
    }
}

fn is_no_shell(text: &[u8]) -> bool {
    text.windows(NOT_STARTED.len())
        .any(|part| part == NOT_STARTED)
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a status; 128 + signal for signals.
    Status(u32),
    /// With its container.
    Gone,
    /// It never began: the image has no shell.
    NoShell,
}

/// A handle on a running command.
#[derive(Clone)]
pub(super) struct Process {
    engine: Arc<dyn Engine>,
    container: String,
    exec: String,
    id: Arc<OnceLock<u32>>,
}

/// The streams of a command.
pub(super) struct Streams {
    pub(super) input: ByteWriter,
    pub(super) output: Output,
}

/// The output of a command without the line of its process id.
pub(super) struct Output {
    stream: EngineStream<(LogStream, Bytes)>,
    id: Arc<OnceLock<u32>>,
    head: Option<BytesMut>,
    /// The daemon could not start it.
    pub(super) refused: bool,
}

impl Process {
    /// Starts a command.
    pub(super) async fn start(
        engine: &Arc<dyn Engine>,
        container: &str,
        spec: &ExecSpec,
    ) -> Result<(Self, Streams), ProcessError> {
        let started = engine.exec(container, spec).await?;
        let id = Arc::new(OnceLock::new());
        let process = Self {
            engine: engine.clone(),
            container: container.to_owned(),
            exec: started.id,
            id: id.clone(),
        };
        let output = Output {
            stream: started.streams.output,
            id,
            head: Some(BytesMut::new()),
            refused: false,
        };
        let input = started.streams.input;
        Ok((process, Streams { input, output }))
    }

    /// Sends a signal such as `INT` to it and what it started.
    pub(super) async fn signal(&self, name: &str) {
        let Some(id) = self.id.get() else { return };
        let spec = command::signal(name, *id);
        let sent = async {
            let mut done = self.engine.exec(&self.container, &spec).await?;
            while let Some(part) = done.streams.output.next().await {
                part?;
            }
            Ok::<_, DockerError>(())
        };
        match timeout(PATIENCE, sent).await {
            Ok(Ok(()) | Err(DockerError::NotFound(_) | DockerError::Conflict(_))) => {}
            Ok(Err(error)) => tracing::debug!(%error, signal = name, "cannot send a signal"),
            Err(_) => tracing::debug!(signal = name, "timed out sending a signal"),
        }
    }

    /// Reads on until the process id is known, for a command whose client left at once.
    pub(super) async fn learn(&self, output: &mut Output) {
        let known = async { while self.id.get().is_none() && output.next().await.is_some() {} };
        if timeout(SETTLES, known).await.is_err() {
            tracing::debug!("a command did not tell its process id");
        }
    }

    /// Changes the size of its terminal.
    pub(super) async fn resize(&self, size: TerminalSize) {
        let resized = timeout(PATIENCE, self.engine.resize_exec(&self.exec, size)).await;
        if let Ok(Err(error)) = resized {
            // It may have ended.
            tracing::debug!(%error, "cannot resize a terminal");
        }
    }

    /// How it ended, when its output did.
    pub(super) async fn end(&self, refused: bool) -> End {
        let deadline = Instant::now() + SETTLES;
        let status = loop {
            match self.engine.exec_status(&self.exec).await {
                Err(DockerError::Conflict(_)) if Instant::now() < deadline => sleep(PAUSE).await,
                Ok(status) => break status,
                Err(_) => return End::Gone,
            }
        };
        if refused && matches!(status, 126..=128) {
            return End::NoShell;
        }
        End::Status(u32::try_from(status).unwrap_or(u32::MAX))
    }

    /// Ends it: it is hung up, and killed when it goes on.
    pub(super) async fn hang_up(&self) {
        self.signal("HUP").await;
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            match self.engine.exec_status(&self.exec).await {
                Err(DockerError::Conflict(_)) => sleep(PAUSE).await,
                _ => return,
            }
        }
        self.signal("KILL").await;
    }
}

impl Output {
    /// Of something that is no command.
    pub(super) fn of(stream: EngineStream<(LogStream, Bytes)>) -> Self {
        Self {
            stream,
            id: Arc::default(),
            head: None,
            refused: false,
        }
    }

    /// Without what it writes to standard error.
    pub(super) fn silenced(mut self) -> Self {
        let kept = self.stream.filter(|part| {
            let is_kept = !matches!(part, Ok((LogStream::Err, _)));
            std::future::ready(is_kept)
        });
        self.stream = Box::pin(kept);
        self
    }

    /// With `data` before the rest.
    pub(super) fn after(mut self, data: Bytes) -> Self {
        let first = futures_util::stream::iter([Ok((LogStream::Out, data))]);
        self.stream = Box::pin(first.chain(self.stream));
        self
    }

    /// The next part, or `None` at its end.
    pub(super) async fn next(&mut self) -> Option<Result<(LogStream, Bytes), DockerError>> {
        loop {
            let part = match self.stream.next().await {
                Some(Ok(part)) => part,
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    let rest = self.head.take().filter(|head| !head.is_empty())?;
                    return Some(Ok((LogStream::Out, rest.freeze())));
                }
            };
            let (stream, data) = part;
            if self.head.is_none() || stream == LogStream::Err {
                return Some(Ok((stream, data)));
            }
            if let Some(data) = self.take_mark(&data) {
                return Some(Ok((stream, data)));
            }
        }
    }

    /// Takes the line of the process id away; what follows, if something does.
    fn take_mark(&mut self, data: &Bytes) -> Option<Bytes> {
        let head = self.head.as_mut()?;
        head.extend_from_slice(data);
        let is_mark = head.first() == Some(&command::MARK);
        let end = head.iter().position(|byte| *byte == b'\n');
        if is_mark && end.is_none() && head.len() < LONGEST_MARK {
            return None;
        }
        let mut head = self.head.take()?;
        self.refused = head.starts_with(NOT_STARTED);
        if let Some(end) = end.filter(|_| is_mark) {
            let line = String::from_utf8_lossy(&head[1..end]);
            if let Ok(id) = line.trim().parse() {
                self.id.get_or_init(|| id);
                head.advance(end + 1);
            }
        }
        (!head.is_empty()).then(|| head.freeze())
    }
}

/// Runs a command without input to its end: how it ended, and what it wrote.
pub(super) async fn ask(
    engine: &Arc<dyn Engine>,
    container: &str,
    spec: &ExecSpec,
) -> Result<(End, String), ProcessError> {
    let answered = timeout(ANSWER, async {
        let (process, streams) = Process::start(engine, container, spec).await?;
        let Streams {
            mut input,
            mut output,
        } = streams;
        if let Err(error) = input.shutdown().await {
            tracing::debug!(%error, "cannot close the input of a command");
        }
        let mut said = Vec::new();
        while let Some(part) = output.next().await {
            let (_, data) = part.map_err(ProcessError::from)?;
            if said.len() < LONGEST_ANSWER {
                said.extend_from_slice(&data);
            }
        }
        let end = process.end(output.refused).await;
        Ok((end, String::from_utf8_lossy(&said).into_owned()))
    });
    answered.await.unwrap_or_else(|_| {
        let text = format!("no answer within {} s", ANSWER.as_secs());
        Err(ProcessError::Docker(DockerError::Unreachable(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(parts: &[&str]) -> (Vec<String>, Option<u32>, bool) {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| Ok((LogStream::Out, Bytes::from((*part).to_owned()))))
            .collect();
        let id = Arc::new(OnceLock::new());
        let mut output = Output {
            stream: Box::pin(futures_util::stream::iter(parts)),
            id: id.clone(),
            head: Some(BytesMut::new()),
            refused: false,
        };
        let mut said = Vec::new();
        while let Some(part) = output.next().await {
            said.push(String::from_utf8(part.unwrap().1.to_vec()).unwrap());
        }
        (said, id.get().copied(), output.refused)
    }

    #[tokio::test]
    async fn the_line_of_the_process_id_is_taken_away() {
        let none: Vec<String> = Vec::new();
        assert_eq!(read(&["\u{1e}12\n"]).await, (none, Some(12), false));
        let said = vec!["a\n".to_owned(), "b".to_owned()];
        assert_eq!(
            read(&["\u{1e}1", "2\r\na\n", "b"]).await,
            (said, Some(12), false)
        );
    }

    #[tokio::test]
    async fn other_output_stays_as_it_is() {
        for text in [
            "hello\n",
            "\u{1e}",
            "\u{1e}no number\n",
            "\u{1e}123456789012345678",
        ] {
            assert_eq!(read(&[text]).await, (vec![text.to_owned()], None, false));
        }
        let refusal = "OCI runtime exec failed: exec: \"/bin/sh\": no such file";
        assert!(read(&[refusal]).await.2);
    }

    #[test]
    fn an_image_without_a_shell_is_named() {
        let error = DockerError::Failed("OCI runtime exec failed: /bin/sh".to_owned());
        assert!(matches!(ProcessError::from(error), ProcessError::NoShell));
    }
}
