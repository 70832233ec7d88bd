//! Commands that were started, and what answers them.

use std::sync::Arc;

use crate::docker::TerminalSize;

/// What a command answers: exit status and standard output, from its input.
pub(super) type Program = Arc<dyn Fn(&str) -> (i64, String) + Send + Sync>;

/// A command that was started.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Name of its container.
    pub container: String,
    /// Its words.
    pub words: Vec<String>,
    /// Its further variables.
    pub environment: Vec<(String, String)>,
    /// The size of its terminal, if it has one.
    pub terminal: Option<TerminalSize>,
    /// What it got.
    pub input: String,
    /// Its exit status once it ended.
    pub status: Option<i64>,
}
