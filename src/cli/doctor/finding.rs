//! What a check found, and how bad it is.

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) grade: Grade,
    /// The evidence.
    pub(super) found: String,
    /// What to do, in words.
    pub(super) advice: String,
    /// And as commands.
    pub(super) command: String,
    /// What `--fix` does about it.
    pub(super) mend: Option<Mend>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    Good,
    Warning,
    Bad,
}

impl Grade {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// Nothing is wrong.
pub(super) fn good(what: &str, found: impl Into<String>) -> Finding {
    Finding {
        what: what.to_owned(),
        grade: Grade::Good,
        found: found.into(),
        advice: String::new(),
        command: String::new(),
        mend: None,
    }
}

/// Something is wrong: what to do, in words and as a command.
pub(super) fn wrong(
    what: &str,
    grade: Grade,
    found: impl Into<String>,
    (advice, command): (&str, &str),
) -> Finding {
    Finding {
        grade,
        advice: advice.to_owned(),
        command: command.to_owned(),
        ..good(what, found)
    }
}

/// A change that needs no root and takes nothing away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mend {
    BuildImages,
    CloseDataDir,
}
