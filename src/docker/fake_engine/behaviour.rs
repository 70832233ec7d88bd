//! Scripts: what a container does after its start and on SIGTERM.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::files::{FakeFile, Files};
use crate::docker::LogStream;

/// What a container does, step by step. Without [`Behaviour::exits`] it runs until it is stopped.
#[derive(Clone, Default, Debug)]
pub struct Behaviour {
    pub(super) steps: Vec<Step>,
    pub(super) on_stop: OnStop,
}

#[derive(Clone)]
pub(super) enum Step {
    Wait(Duration),
    WaitForever,
    Print(LogStream, Bytes),
    Write(String, FakeFile),
    Do(Arc<dyn Fn(&mut Files) + Send + Sync>),
    Grow(u64),
    Exit(i64),
    OutOfMemory,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(time) => write!(f, "Wait({time:?})"),
            Self::WaitForever => f.write_str("WaitForever"),
            Self::Print(stream, _) => write!(f, "Print({stream:?})"),
            Self::Write(path, _) => write!(f, "Write({path})"),
            Self::Do(_) => f.write_str("Do"),
            Self::Grow(bytes) => write!(f, "Grow({bytes})"),
            Self::Exit(code) => write!(f, "Exit({code})"),
            Self::OutOfMemory => f.write_str("OutOfMemory"),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum OnStop {
    Exit { after: Duration, code: i64 },
    Ignore,
}

impl Default for OnStop {
    fn default() -> Self {
        Self::Exit {
            after: Duration::ZERO,
            code: 143,
        }
    }
}

impl Behaviour {
    /// Runs until it is stopped.
    pub fn runs() -> Self {
        Self::default()
    }

    /// Lets time pass.
    #[must_use]
    pub fn waits(self, time: Duration) -> Self {
        self.then(Step::Wait(time))
    }

    /// Hangs: later steps never happen.
    #[must_use]
    pub fn hangs(self) -> Self {
        self.then(Step::WaitForever)
    }

    /// Writes text to stdout; each line becomes one frame.
    #[must_use]
    pub fn prints(self, text: impl Into<Bytes>) -> Self {
        self.then(Step::Print(LogStream::Out, text.into()))
    }

    /// Writes text to stderr.
    #[must_use]
    pub fn complains(self, text: impl Into<Bytes>) -> Self {
        self.then(Step::Print(LogStream::Err, text.into()))
    }

    /// Creates a file.
    #[must_use]
    pub fn writes(self, path: &str, content: impl Into<Bytes>) -> Self {
        self.then(Step::Write(path.to_owned(), FakeFile::new(content)))
    }

    /// Reads files (uploaded ones too) and creates others.
    #[must_use]
    pub fn works(self, work: impl Fn(&mut Files) + Send + Sync + 'static) -> Self {
        self.then(Step::Do(Arc::new(work)))
    }

    /// Uses more of the disk.
    #[must_use]
    pub fn grows(self, bytes: u64) -> Self {
        self.then(Step::Grow(bytes))
    }

    /// Ends.
    #[must_use]
    pub fn exits(self, code: i64) -> Self {
        self.then(Step::Exit(code))
    }

    /// Is killed by the kernel for its memory.
    #[must_use]
    pub fn runs_out_of_memory(self) -> Self {
        self.then(Step::OutOfMemory)
    }

    /// Takes `after` to end on SIGTERM, with `code`.
    #[must_use]
    pub fn stops(mut self, after: Duration, code: i64) -> Self {
        self.on_stop = OnStop::Exit { after, code };
        self
    }

    /// Hangs on SIGTERM until it is killed.
    #[must_use]
    pub fn ignores_stop(mut self) -> Self {
        self.on_stop = OnStop::Ignore;
        self
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
