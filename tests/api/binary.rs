//! The binary's commands, run against a platform of this process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use cflite::platform::DataDirLock;
use cflite::testing::TestApp;
use serde_json::Value;

/// The command line of one platform.
pub(crate) struct Commands {
    data_dir: PathBuf,
    password_file: PathBuf,
    _found: DataDirLock,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Commands {
    pub(crate) fn of(app: &TestApp) -> Self {
        Self {
            data_dir: app.data_dir().to_owned(),
            password_file: app.password_file(),
            _found: app.found_by_commands().expect("lock"),
        }
    }

    /// A command with these words, before it runs.
    pub(crate) fn command(&self, words: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_cflite"));
        command
            .args(words)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .arg("--admin-password-file")
            .arg(&self.password_file)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, words: &[&str]) -> Ended {
        ended(self.command(words)).await
    }

    /// Runs a command that succeeds; the JSON it prints.
    pub(crate) async fn json(&self, words: &[&str]) -> Value {
        let ended = self.run(&[words, &["--json"]].concat()).await;
        assert_eq!(ended.code, 0, "{words:?}: {ended:?}");
        serde_json::from_str(&ended.out).expect("JSON")
    }
}

/// Runs a command to its end.
pub(crate) async fn ended(mut command: tokio::process::Command) -> Ended {
    let limit = std::time::Duration::from_secs(120);
    let output = tokio::time::timeout(limit, command.output()).await;
    let output = output.expect("it ends").expect("it runs");
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A hash of each table that a log-in does not write.
pub(crate) async fn rows(app: &TestApp) -> BTreeMap<String, u64> {
    let mut all = app.snapshot().await.expect("rows");
    for table in ["access_tokens", "users", "user_entries"] {
        all.remove(table);
    }
    all
}
