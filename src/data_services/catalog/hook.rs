//! What is done in or to a running container.

use serde::{Deserialize, Deserializer, de};

/// One step.
#[derive(Debug, Clone)]
pub struct Hook {
    /// What.
    pub action: Action,
}

/// What a hook does. Texts are templates.
#[derive(Debug, Clone)]
pub enum Action {
    /// Runs a command, which has to end with status 0.
    Exec {
        /// Its words; they hold no secrets, as everybody in the container sees them.
        command: Vec<String>,
        /// Its user; root by default.
        user: Option<String>,
        /// Its standard input.
        input: Input,
        /// What its output has to contain.
        expect: Option<String>,
    },
    /// Sends a signal to the container's process.
    Signal(String),
    /// Connects to a port, by its name.
    Connect(String),
    /// Replaces a file at once.
    Write {
        /// Absolute path.
        path: String,
        /// Content.
        body: String,
        /// Its owner; root by default.
        owner: Option<String>,
    },
}

/// The standard input of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Empty,
    /// A template.
    Text(String),
    /// A dump that is loaded.
    Dump,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    exec: Option<Vec<String>>,
    user: Option<String>,
    input: Option<String>,
    expect: Option<String>,
    signal: Option<String>,
    connect: Option<String>,
    write: Option<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    path: String,
    body: String,
    owner: Option<String>,
}

impl<'de> Deserialize<'de> for Hook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let of_exec = written.user.is_some() || written.input.is_some() || written.expect.is_some();
        let action = match (written.exec, written.signal, written.connect, written.write) {
            (Some(command), None, None, None) if !command.is_empty() => Action::Exec {
                command,
                user: written.user,
                input: match written.input {
                    None => Input::Empty,
                    Some(text) if text == "dump" => Input::Dump,
                    Some(text) => Input::Text(text),
                },
                expect: written.expect,
            },
            (None, Some(signal), None, None) if !of_exec => Action::Signal(signal),
            (None, None, Some(port), None) if !of_exec => Action::Connect(port),
            (None, None, None, Some(file)) if !of_exec => {
                if !file.path.starts_with('/') {
                    return Err(de::Error::custom("path has to begin with a slash"));
                }
                Action::Write {
                    path: file.path,
                    body: file.body,
                    owner: file.owner,
                }
            }
            _ => {
                return Err(de::Error::custom(
                    "a hook is one of exec (with user, input and expect), signal, connect and write",
                ));
            }
        };
        Ok(Self { action })
    }
}
